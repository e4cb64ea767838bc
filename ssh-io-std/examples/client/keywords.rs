//! Which flags and keywords there are, and what `--help` says of them.

/// What `--help` prints, before the keywords that have an effect.
const USAGE: &str = "\
usage: client [flags] [user@]host [command]
       client [flags] ssh://[user@]host[:port] [command]
       client -Q kex|cipher|mac|key

  -p PORT  -l USER        where and as whom to log in
  -i KEY                  a private key file, several times
  --password-fd N         the password is the first line of this descriptor
  -c CIPHERS  -m MACS     algorithms, comma separated, also as +LIST -LIST ^LIST
  -o Keyword=value        see below
  -F FILE                 the config file; none for no file at all
  -t  -tt  -T             a terminal if there is one here, in any case, or none
  -s                      the command is the name of a subsystem
  -n  -N                  no input; no command
  -4  -6                  only addresses of this kind
  -q  -v  -E FILE         say less, say more (-vv, -vvv), say it in a file
  -Q LIST                 print the names of kex, cipher, mac or key
  -a  -x  -e CHAR         taken, without effect
  --help                  this text
";

/// Keywords that have an effect.
pub(super) const USED: &[&str] = &[
    "BatchMode",
    "Ciphers",
    "ConnectTimeout",
    "GlobalKnownHostsFile",
    #[cfg(feature = "gssapi")]
    "GSSAPIAuthentication",
    #[cfg(feature = "gssapi")]
    "GSSAPIDelegateCredentials",
    "HostKeyAlgorithms",
    "HostKeyAlias",
    "HostName",
    "IdentityFile",
    "IgnoreUnknown",
    "KexAlgorithms",
    "LogLevel",
    "MACs",
    "NumberOfPasswordPrompts",
    "PasswordAuthentication",
    "Port",
    "PreferredAuthentications",
    "PubkeyAcceptedAlgorithms",
    "PubkeyAuthentication",
    "RekeyLimit",
    "RequestTTY",
    "SendEnv",
    "ServerAliveCountMax",
    "ServerAliveInterval",
    "SetEnv",
    "StrictHostKeyChecking",
    "User",
    "UserKnownHostsFile",
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
    "casignaturealgorithms",
    "certificatefile",
    "channeltimeout",
    "checkhostip",
    "clearallforwardings",
    "compression",
    "connectionattempts",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "gssapiclientidentity",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hashknownhosts",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    // There is no agent yet whose keys could be left out.
    "identitiesonly",
    "identityagent",
    "include",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "knownhostscommand",
    "localcommand",
    "localforward",
    "logverbose",
    "nohostauthenticationforlocalhost",
    "obscurekeystroketiming",
    "permitlocalcommand",
    "permitremoteopen",
    "pkcs11provider",
    "proxyusefdpass",
    "refuseconnection",
    "remotecommand",
    "remoteforward",
    "requiredrsasize",
    "revokedhostkeys",
    "securitykeyprovider",
    "sessiontype",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "usekeychain",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
    // Former names.
    "challengeresponseauthentication",
    "pubkeyacceptedkeytypes",
    "hostbasedkeytypes",
];

/// Keywords of which every value counts.
pub(super) const SEVERAL: &[&str] = &["identityfile", "sendenv", "setenv"];

/// Flags that are OpenSSH's, but not of this client yet.
pub(super) const LATER: &str = "ACDIJLMORSWXYbfgwBPkyGK";

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
