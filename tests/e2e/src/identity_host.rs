//! Claude Code as the person has it on the host: the real one, signed in to the imitation.

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

    /// A call of it with the home of the realm's person.
    #[must_use]
    pub fn call(&self, realm: &Realm, args: &[&str]) -> Cli {
        let home = realm.world.home();
        let port = realm.identity.proxy.clone();
        let path = std::env::var_os("PATH").unwrap_or_default();
        Cli::new(&self.binary)
            .only_env(&[])
            .env("PATH", path)
            .env("HOME", &home)
            .env("HTTPS_PROXY", port)
            .env("NODE_EXTRA_CA_CERTS", realm.world.root().join("identity.pem"))
            .env("DISABLE_AUTOUPDATER", "1")
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("IS_SANDBOX", "1")
            .env("BROWSER", "/bin/false")
            .within(home)
            .args(args)
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
