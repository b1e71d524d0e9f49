//! Claude Code as the person has it on the host: the real one, signed in to the imitation.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::Cli;
use crate::identity_realm::{Realm, stored};
use crate::world::repository;

/// The real claude on the host.
#[derive(Debug)]
pub struct HostClaude {
    binary: PathBuf,
}

impl Default for HostClaude {
    fn default() -> Self {
        Self::new()
    }
}

impl HostClaude {
    /// The program in the version that the product pins, fetched once for all tests.
    ///
    /// # Panics
    /// When it cannot be had.
    #[must_use]
    pub fn new() -> Self {
        let script = "import(process.argv[1]).then(async (m) => process.stdout.write(await m.claudeBinary()))";
        let module = repository().join("tests/fakes/claude-binary.mjs");
        let found = Command::new("node").args(["-e", script]).arg(module).output().expect("node starts");
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        Self { binary: String::from_utf8_lossy(&found.stdout).into_owned().into() }
    }

    /// The environment that it has with the home of the realm's person.
    fn environment(realm: &Realm) -> Vec<(OsString, OsString)> {
        let set = |name: &str, value: OsString| (name.into(), value);
        vec![
            set("PATH", std::env::var_os("PATH").unwrap_or_default()),
            set("HOME", realm.world.home().into()),
            set("HTTPS_PROXY", realm.identity.proxy.clone().into()),
            set("NODE_EXTRA_CA_CERTS", realm.world.root().join("identity.pem").into()),
            set("DISABLE_AUTOUPDATER", "1".into()),
            set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            // It may be root who tests.
            set("IS_SANDBOX", "1".into()),
            // Nobody is there to see a browser.
            set("BROWSER", "/bin/false".into()),
        ]
    }

    /// A call of it with the home of the realm's person.
    #[must_use]
    pub fn call(&self, realm: &Realm, args: &[&str]) -> Cli {
        Cli::new(&self.binary).only_env(&Self::environment(realm)).within(realm.world.home()).args(args)
    }

    /// The same, to be started by the test itself.
    #[must_use]
    pub fn command(&self, realm: &Realm, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().envs(Self::environment(realm)).current_dir(realm.world.home()).args(args);
        command
    }

    /// It answers.
    ///
    /// # Panics
    /// When it does not; says what was asked of the imitation.
    #[track_caller]
    pub fn works(&self, realm: &Realm, word: &str) {
        let done = self.call(realm, &["-p", &format!("say {word}")]).run();
        assert!(done.status == 0 && done.out().trim() == word, "{}\n{:#?}", done.told("gave no answer"), realm.seen());
    }

    /// The login that it keeps.
    #[must_use]
    pub fn login(&self, realm: &Realm) -> Value {
        stored(&realm.world.home().join(".claude"))
    }
}
