//! A Kerberos realm of one test: MIT's KDC on loopback, with everything in the test's directory.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use ssh_interop::process::{PATIENCE, Running, command, run, run_with};
use ssh_interop::server::{free_port, wait_for_server};
use ssh_interop::{Login, Setup, TestDir};

/// The realm's name.
pub(crate) const REALM: &str = "SSH.TEST";

/// The principal of servers on loopback.
pub(crate) const SERVICE: &str = "host/127.0.0.1";

/// A realm with a key for one service; the KDC is killed on drop.
pub(crate) struct Realm<'a> {
    dir: &'a TestDir,
    config: PathBuf,
    _kdc: Running,
}

/// Variables of the environment.
type Variables = Vec<(&'static str, OsString)>;

impl<'a> Realm<'a> {
    /// Starts a realm that has these users, and servers on loopback.
    pub(crate) fn new(dir: &'a TestDir, users: &[&str]) -> Self {
        Self::serving(dir, users, SERVICE)
    }

    /// Starts a realm that has these users and this service, whose key is in the keytab.
    pub(crate) fn serving(dir: &'a TestDir, users: &[&str], service: &str) -> Self {
        // Another process may take the port between looking and binding.
        for _ in 0..5 {
            let port = free_port();
            let config = dir.write("krb5.conf", krb5_conf(REALM, port));
            dir.write("kdc.conf", kdc_conf(dir, port));
            if !dir.file("principal").exists() {
                fill(dir, users, service);
            }
            let mut kdc = command("/usr/sbin/krb5kdc");
            kdc.arg("-n").envs(administration(dir));
            let mut kdc = Running::start(kdc);
            let (log_file, mut taken) = (dir.file("kdc.log"), false);
            wait_for_server(&mut kdc, |_| {
                let log = fs::read_to_string(&log_file).unwrap_or_default();
                taken = log.contains("Address already in use");
                taken || log.contains("commencing operation")
            });
            if !taken {
                let _kdc = kdc;
                return Self { dir, config, _kdc };
            }
            let _ = fs::remove_file(log_file);
        }
        panic!("no free port for the KDC");
    }

    /// A cache with the user's ticket, forwardable.
    fn ticket(&self, user: &str) -> OsString {
        let cache = self.cache(&user.replace('/', "_"));
        let mut kinit = command("kinit");
        kinit.args(["-f", "-k", "-t"]).arg(self.dir.file("users"));
        kinit.arg("-c").arg(&cache).arg(user);
        kinit.env("KRB5_CONFIG", &self.config);
        run(kinit).ok();
        cache
    }

    /// Gives the service another key, of which the keytab knows nothing.
    pub(crate) fn change_key(&self) {
        administer(self.dir, format!("change_password -randkey {SERVICE}\n"));
    }

    fn cache(&self, name: &str) -> OsString {
        format!("FILE:{}", self.dir.file(&format!("cc_{name}")).display()).into()
    }

    /// What a client has to know: with a user's ticket, or without any.
    pub(crate) fn of_client(&self, user: Option<&str>) -> Variables {
        let cache = user.map_or_else(|| self.cache("none"), |user| self.ticket(user));
        vec![
            ("KRB5_CONFIG", self.config.clone().into()),
            ("KRB5CCNAME", cache),
        ]
    }

    /// What a server has to know.
    pub(crate) fn of_server(&self) -> Variables {
        let of_dir = self.dir.path().to_owned().into();
        vec![
            ("KRB5_CONFIG", self.config.clone().into()),
            ("KRB5_KTNAME", self.dir.file("keytab").into()),
            ("KRB5RCACHEDIR", of_dir),
        ]
    }

    /// The same, of a server that is at home in another realm.
    pub(crate) fn of_foreign_server(&self) -> Variables {
        let config = self.dir.write("foreign.conf", krb5_conf("OTHER.TEST", 9));
        let mut variables = self.of_server();
        variables.insert(0, ("KRB5_CONFIG", config.into()));
        variables.remove(1);
        variables
    }

    /// A command that asks the KDC for the ticket of a service, with a cache that it is told of.
    pub(crate) fn kvno(&self, service: &str) -> String {
        format!("KRB5_CONFIG={} kvno {service}", self.config.display())
    }
}

/// A server that takes tickets, of either kind.
pub(crate) fn taking_tickets(setup: Setup, variables: Variables) -> Setup {
    let setup = setup
        .flags(&["--gssapi"])
        .line("GSSAPIAuthentication yes")
        // Its key is that of the address, not of this machine's name.
        .line("GSSAPIStrictAcceptorCheck no");
    variables
        .into_iter()
        .fold(setup, |setup, (name, value)| setup.env(name, value))
}

/// A client that uses tickets, of either kind.
pub(crate) fn using_tickets(login: Login, variables: Variables) -> Login {
    let login = login.option("GSSAPIAuthentication", "yes").flag("-v");
    variables
        .into_iter()
        .fold(login, |login, (name, value)| login.env(name, value))
}

fn krb5_conf(default_realm: &str, port: u16) -> String {
    format!(
        "[libdefaults]\n default_realm = {default_realm}\n dns_lookup_kdc = false\n \
         dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n\
         [domain_realm]\n 127.0.0.1 = {REALM}\n\
         [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
    )
}

fn kdc_conf(dir: &TestDir, port: u16) -> String {
    let dir = dir.path().display();
    format!(
        "[realms]\n {REALM} = {{\n  database_name = {dir}/principal\n  \
         key_stash_file = {dir}/stash\n  acl_file = {dir}/acl\n  \
         kdc_listen = 127.0.0.1:{port}\n  kdc_tcp_listen = 127.0.0.1:{port}\n }}\n\
         [logging]\n kdc = FILE:{dir}/kdc.log\n"
    )
}

fn administration(dir: &TestDir) -> Variables {
    vec![
        ("KRB5_CONFIG", dir.file("krb5.conf").into()),
        ("KRB5_KDC_PROFILE", dir.file("kdc.conf").into()),
        ("KRB5RCACHEDIR", dir.path().to_owned().into()),
    ]
}

/// Makes the database, the server's keytab and that of the users.
fn fill(dir: &TestDir, users: &[&str], service: &str) {
    let mut create = command("/usr/sbin/kdb5_util");
    create.args(["create", "-s", "-P", "master"]);
    create.envs(administration(dir));
    run(create).ok();
    let mut queries = String::new();
    let keytabs = users.iter().map(|user| (*user, "users"));
    for (principal, keytab) in keytabs.chain([(service, "keytab")]) {
        let keytab = dir.file(keytab);
        queries += &format!("add_principal -randkey {principal}\n");
        queries += &format!("ktadd -k {} {principal}\n", keytab.display());
    }
    administer(dir, queries);
}

fn administer(dir: &TestDir, queries: String) {
    let mut kadmin = command("/usr/sbin/kadmin.local");
    kadmin.envs(administration(dir));
    run_with(kadmin, queries.into(), PATIENCE).ok();
}
