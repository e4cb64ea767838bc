//! Which flags and keywords there are, and what `--help` says of them.

/// What `--help` prints, before the keywords that have an effect.
const USAGE: &str = "\
usage: client [flags] [user@]host [command]
       client [flags] ssh://[user@]host[:port] [command]
       client -Q kex|cipher|cipher-auth|mac|compression|key|key-cert|key-plain|key-sig|sig

  -p PORT  -l USER        where and as whom to log in
  -i KEY                  a private key file of any form, several times; KEY-cert.pub goes with it
  --password-fd N         the password is the first line of this descriptor
  -c CIPHERS  -m MACS     algorithms, comma separated, also as +LIST -LIST ^LIST
  -C                      compression, where the server has it
  -o Keyword=value        see below
  -F FILE                 the config file; none for no file at all
  -L SPEC  -R SPEC        forward a port or socket of this side, or of the other:
                          [bind:]port:host:hostport, with a path in place of either end;
                          -R [bind:]port leads wherever SOCKS says, port 0 is chosen there
  -D [bind:]port          forward a port of this side to wherever SOCKS says
  -W host:port            standard input and output are a connection to there
  -g                      ports of this side are open to other hosts
  -A  -a  -X  -Y  -x      forward the agent, do not; the display, do not
  -t  -tt  -T             a terminal if there is one here, in any case, or none
  -s                      the command is the name of a subsystem
  -n  -N                  no input; no command
  -4  -6                  only addresses of this kind
  -q  -v  -E FILE         say less, say more (-vv, -vvv), say it in a file
  -Q LIST                 print the names of what there is, also by the keyword that takes them
  -e CHAR                 taken, without effect
  --help                  this text
";

/// Keywords that have an effect.
pub(super) const USED: &[&str] = &[
    "BatchMode",
    "CASignatureAlgorithms",
    "CertificateFile",
    "Ciphers",
    "ClearAllForwardings",
    "Compression",
    "ConnectTimeout",
    "DynamicForward",
    "ExitOnForwardFailure",
    "FingerprintHash",
    "ForwardAgent",
    "ForwardX11",
    "ForwardX11Trusted",
    "GatewayPorts",
    "GlobalKnownHostsFile",
    #[cfg(feature = "gssapi")]
    "GSSAPIAuthentication",
    #[cfg(feature = "gssapi")]
    "GSSAPIDelegateCredentials",
    "HashKnownHosts",
    "HostKeyAlgorithms",
    "HostKeyAlias",
    "HostName",
    "IdentitiesOnly",
    "IdentityAgent",
    "IdentityFile",
    "IgnoreUnknown",
    "KbdInteractiveAuthentication",
    "KexAlgorithms",
    "LocalForward",
    "LogLevel",
    "MACs",
    "NumberOfPasswordPrompts",
    "ObscureKeystrokeTiming",
    "PasswordAuthentication",
    "Port",
    "PreferredAuthentications",
    "PubkeyAcceptedAlgorithms",
    "PubkeyAuthentication",
    "RekeyLimit",
    "RemoteForward",
    "RequestTTY",
    "RequiredRSASize",
    "RevokedHostKeys",
    "SendEnv",
    "ServerAliveCountMax",
    "ServerAliveInterval",
    "SetEnv",
    "StreamLocalBindUnlink",
    "StrictHostKeyChecking",
    "UpdateHostKeys",
    "User",
    "UserKnownHostsFile",
    "VisualHostKey",
    "WarnWeakCrypto",
    "XAuthLocation",
];

/// OpenSSH's other keywords: taken, and without effect.
pub(super) const OTHERS: &[&str] = &[
    "addkeystoagent",
    "addressfamily",
    "bindaddress",
    "bindinterface",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizehostname",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "channeltimeout",
    "checkhostip",
    "connectionattempts",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "forkafterauthentication",
    "forwardx11timeout",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "gssapiclientidentity",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "include",
    "ipqos",
    "kbdinteractivedevices",
    "knownhostscommand",
    "localcommand",
    "logverbose",
    "nohostauthenticationforlocalhost",
    "permitlocalcommand",
    "permitremoteopen",
    "pkcs11provider",
    "proxyusefdpass",
    "refuseconnection",
    "remotecommand",
    "securitykeyprovider",
    "sessiontype",
    "stdinnull",
    "streamlocalbindmask",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "usekeychain",
    "verifyhostkeydns",
    "versionaddendum",
    "hostbasedkeytypes",
];

/// Keywords of which every value counts.
pub(super) const SEVERAL: &[&str] = &["certificatefile", "identityfile", "sendenv", "setenv"];

/// Former names of keywords.
pub(super) const FORMER: &[(&str, &str)] = &[
    (
        "challengeresponseauthentication",
        "kbdinteractiveauthentication",
    ),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
];

/// Flags that are OpenSSH's, but not of this client yet.
pub(super) const LATER: &str = "IJMOSbfwBPkyGK";

/// What `--help` prints.
pub(crate) fn usage() -> String {
    let mut text = format!("{USAGE}\nKeywords of -o and of config files that have an effect:\n");
    for line in USED.chunks(3) {
        let line: String = line.iter().map(|name| format!("  {name:<24}")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("OpenSSH's others are taken without, and named with -v; ProxyCommand and ProxyJump are refused.\n");
    text
}
