//! The login of Claude Code on this machine where macOS keeps it, for copies that go both ways.

use boxwood_core::credentials::Secret;
use boxwood_protocol::{ErrorCode, RpcError};
use tokio::runtime::Handle;

use super::store::{Failure, Security, Store as _};
use crate::error::Result;
use crate::provisioning::sync::{Holder, InDirectory};

/// The Keychain's item, and the file that Claude Code takes as long as there is no item.
pub(crate) struct InKeychain {
    pub(super) keychain: Security,
    pub(super) service: String,
    pub(super) file: InDirectory,
}

impl InKeychain {
    /// Waits for the program that is asked. Who compares two sides has their locks, and nothing else to do.
    fn ask<T>(&self, answer: impl Future<Output = std::result::Result<T, Failure>>) -> Result<T> {
        let answer = tokio::task::block_in_place(|| Handle::current().block_on(answer));
        answer.map_err(|failure| {
            RpcError::new(ErrorCode::CredentialUnusable, format!("the Keychain's item '{}': {failure}", self.service))
        })
    }
}

impl Holder for InKeychain {
    fn read(&self) -> Result<Option<Secret>> {
        match self.ask(self.keychain.get(&self.service))? {
            None => self.file.read(),
            item => Ok(item),
        }
    }

    fn write(&self, contents: &Secret) -> Result<()> {
        match self.ask(self.keychain.get(&self.service))? {
            None => self.file.write(contents),
            Some(item) if item == *contents => Ok(()),
            Some(_) => self.ask(self.keychain.set(&self.service, contents)),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::time::Duration;

    use boxwood_core::credentials::host::HostAccount;
    use boxwood_core::credentials::sync::{Decision, Kept};
    use boxwood_core::credentials::{Clock, CredentialFile};

    use super::super::host::tests::{ACCOUNT, credentials};
    use super::super::store::security_tests;
    use super::*;
    use crate::claude_directory::ClaudeDirectory;
    use crate::provisioning::sync::Pair;

    const NOW: i64 = 1_795_000_000_000;
    const HOUR: i64 = 60 * 60 * 1000;

    /// A host with a Keychain, and a sandbox's home.
    struct World {
        root: tempfile::TempDir,
        host: InKeychain,
        sandbox: ClaudeDirectory,
    }

    /// What Claude Code keeps, of one account.
    fn login(number: u32) -> Secret {
        let text = credentials(number, NOW + i64::from(number) * HOUR);
        let mut file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        file["claudeAiOauth"]["accountUuid"] = ACCOUNT.into();
        Secret::new(file.to_string())
    }

    impl World {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a directory");
            let at = |name: &str| {
                let path = root.path().join(name);
                fs::create_dir(&path).expect("made");
                path
            };
            let program = security_tests::program(&at("keychain"));
            let host = InKeychain {
                keychain: Security::of_program(program, "u", Duration::from_secs(20)),
                service: "Claude Code-credentials".to_owned(),
                file: InDirectory(at("claude")),
            };
            let sandbox = ClaudeDirectory::open(&at("home")).expect("opened");
            at("own");
            Self { root, host, sandbox }
        }

        fn same(&self) -> Result<Decision> {
            let own = self.root.path().join("own");
            let pair = Pair { host: &self.host, account: HostAccount::default(), sandbox: &self.sandbox, own: &own };
            pair.make_same(None, &Clock::at(NOW), &mut || Ok(()))
        }

        fn put(holder: &dyn Holder, number: u32) {
            holder.write(&login(number)).expect("written");
        }

        fn access(holder: &dyn Holder) -> Option<String> {
            let file = CredentialFile::parse(holder.read().expect("read")?.reveal().as_bytes()).expect("a file");
            file.access_token().map(|token| token.reveal().to_owned())
        }
    }

    fn token(number: u32) -> Option<String> {
        Some(format!("sk-ant-oat01-access-{number}"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_either_side_renews_the_other_has() {
        let world = World::new();
        world.host.keychain.set(&world.host.service, &login(1)).await.expect("kept");
        drop(world.same().expect("decided"));
        assert_eq!(World::access(&world.sandbox), token(1));
        World::put(&world.sandbox, 2);
        drop(world.same().expect("decided"));
        let item = world.host.keychain.get(&world.host.service).await.expect("read").expect("there");
        assert!(item.reveal().contains("sk-ant-ort01-refresh-2"), "the item itself is renewed");
        assert!(item.reveal().contains("s3cret-of-another"), "what else is in it stays");
        World::put(&world.host, 3);
        drop(world.same().expect("decided"));
        assert_eq!(World::access(&world.sandbox), token(3));
        assert_eq!(world.same().expect("decided"), Decision::Keep(Kept::Equal));
        assert!(!world.root.path().join("claude/.credentials.json").exists(), "no file takes the item's place");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_an_item_the_file_is_the_login() {
        let world = World::new();
        World::put(&world.host, 1);
        assert!(world.root.path().join("claude/.credentials.json").exists());
        drop(world.same().expect("decided"));
        assert_eq!(World::access(&world.sandbox), token(1));
        assert!(world.host.keychain.get(&world.host.service).await.expect("asked").is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_locked_keychain_changes_nothing_on_either_side() {
        let world = World::new();
        world.host.keychain.set(&world.host.service, &login(1)).await.expect("kept");
        drop(world.same().expect("decided"));
        World::put(&world.sandbox, 2);
        fs::write(world.root.path().join("keychain/locked"), "").expect("locked");
        assert_eq!(world.same().map_err(|problem| problem.code), Err(ErrorCode::CredentialUnusable));
        assert_eq!(World::access(&world.sandbox), token(2));
        fs::remove_file(world.root.path().join("keychain/locked")).expect("unlocked");
        drop(world.same().expect("decided"));
        assert_eq!(World::access(&world.host), token(2));
    }
}
