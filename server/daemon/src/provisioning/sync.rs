//! Keeps a login the same on both sides: reads both, has the core decide, and copies.
//!
//! Whoever calls this holds Claude Code's own locks of both directories. What is about to happen is written down before it
//! happens, so that a kill anywhere leaves what the next run understands, and what is replaced is kept as a backup.

use std::path::{Path, PathBuf};

use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::host::HostAccount;
use boxwood_core::credentials::provision::OwnFile;
use boxwood_core::credentials::sync::{self, Conflict, Decision, Kept, Part, Record};
use boxwood_core::credentials::{Clock, CredentialFile, FileError, Secret, View};
use boxwood_protocol::credentials::CredentialSide;

use crate::claude_directory::ClaudeDirectory;
use crate::error::{self, Result};
use crate::files;

/// What is remembered of both sides, in the sandbox's own directory on the host.
pub(crate) const RECORD: &str = "sync.json";
/// Where what stood on a side is kept when another login takes its place.
const fn backup(side: CredentialSide) -> &'static str {
    match side {
        CredentialSide::Host => "replaced-on-host.json",
        CredentialSide::Sandbox => "replaced-in-sandbox.json",
    }
}

/// Removes the logins that were replaced, of a sandbox that has no copy any more or whose login was ended.
pub(crate) fn forget_replaced(own: &Path) -> Result<()> {
    [CredentialSide::Host, CredentialSide::Sandbox].iter().try_for_each(|side| files::remove(&own.join(backup(*side))))
}

/// Where a credential file is, whatever keeps it.
pub(crate) trait Holder {
    /// Its bytes; `None` when there is none.
    fn read(&self) -> Result<Option<Secret>>;
    /// Puts another one in its place, whole.
    fn write(&self, contents: &Secret) -> Result<()>;
}

impl Holder for ClaudeDirectory {
    fn read(&self) -> Result<Option<Secret>> {
        let bytes = self.head(OwnFile::Credentials.name(), MAX_BYTES as u64 + 1)?;
        // Other bytes than UTF-8 make a file that cannot be read, which it is.
        Ok(bytes.map(|bytes| Secret::new(String::from_utf8_lossy(&bytes).into_owned())))
    }

    fn write(&self, contents: &Secret) -> Result<()> {
        self.write_if_different(OwnFile::Credentials.name(), contents.reveal())
    }
}

/// A directory of the person's own, whose credential file is written as Claude Code does: whole, and links on the way to it
/// are the person's to make.
pub(crate) struct InDirectory(pub(crate) PathBuf);

impl Holder for InDirectory {
    fn read(&self) -> Result<Option<Secret>> {
        let path = self.0.join(OwnFile::Credentials.name());
        match files::head(&path, MAX_BYTES as u64 + 1) {
            Ok(bytes) => Ok(Some(Secret::new(String::from_utf8_lossy(&bytes).into_owned()))),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(error::file("read", &path, &cause)),
        }
    }

    fn write(&self, contents: &Secret) -> Result<()> {
        files::private_directory(&self.0)?;
        files::write_if_different(&self.0.join(OwnFile::Credentials.name()), contents.reveal().as_bytes())
    }
}

/// The two sides, and what is remembered of them.
pub(crate) struct Pair<'a> {
    pub(crate) host: &'a dyn Holder,
    /// Whose login the host's is, as far as `.claude.json` there says.
    pub(crate) account: HostAccount,
    pub(crate) sandbox: &'a dyn Holder,
    /// The sandbox's own directory on the host.
    pub(crate) own: &'a Path,
}

/// One side as it was read.
struct Side {
    file: std::result::Result<CredentialFile, FileError>,
    view: Option<View>,
}

impl Side {
    fn read(holder: &dyn Holder) -> Result<Self> {
        let file = match holder.read()? {
            Some(contents) => CredentialFile::parse(contents.reveal().as_bytes()),
            None => Ok(CredentialFile::default()),
        };
        let view = file.as_ref().ok().map(CredentialFile::view);
        Ok(Self { file, view })
    }
}

impl Pair<'_> {
    /// Makes both sides the same where that is clear. `winner` is the side that the person chose, if one was.
    ///
    /// `go_on` is asked before every write; its error ends it there.
    pub(crate) fn make_same(
        &self,
        winner: Option<CredentialSide>,
        clock: &Clock,
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Decision> {
        let mut record = self.record()?;
        let (host, sandbox) = self.read()?;
        let decision = match winner {
            None => sync::decide(host.view.as_ref(), sandbox.view.as_ref(), &record, clock),
            Some(winner) => sync::settle_for(winner, host.view.as_ref(), sandbox.view.as_ref(), clock)
                .unwrap_or_else(Decision::Conflict),
        };
        match &decision {
            Decision::Copy { from, part, over } => {
                let (Some(host_view), Some(sandbox_view)) = (&host.view, &sandbox.view) else {
                    return Ok(Decision::Conflict(Conflict::Unclear));
                };
                record.begin(&decision, host_view, sandbox_view);
                self.keep(&record, go_on)?;
                let (source, target, holder) = match from {
                    CredentialSide::Host => (host, sandbox, self.sandbox),
                    CredentialSide::Sandbox => (sandbox, host, self.host),
                };
                let is_as_read = Side::read(holder)?.view.is_some_and(|view| view.login == *over);
                if !is_as_read {
                    // Somebody who takes no locks was faster. What is there now is looked at the next time.
                    return Ok(Decision::Conflict(Conflict::Unclear));
                }
                copy(&source, target, *part, holder, &self.own.join(backup(sync::other(*from))), go_on)?;
                self.settle(&mut record, go_on)?;
            }
            Decision::Keep(Kept::Equal) => self.settle(&mut record, go_on)?,
            Decision::Keep(_) | Decision::Conflict(_) => {}
        }
        Ok(decision)
    }

    fn read(&self) -> Result<(Side, Side)> {
        let mut host = Side::read(self.host)?;
        host.view = host.view.map(|view| self.account.complete(view));
        Ok((host, Side::read(self.sandbox)?))
    }

    fn settle(&self, record: &mut Record, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let (host, sandbox) = self.read()?;
        if let (Some(host), Some(sandbox)) = (&host.view, &sandbox.view) {
            record.settle(host, sandbox);
        }
        self.keep(record, go_on)
    }

    fn record(&self) -> Result<Record> {
        Ok(files::read(&self.file())?.map(|text| Record::parse(&text)).unwrap_or_default())
    }

    fn keep(&self, record: &Record, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        go_on()?;
        files::write_if_different(&self.file(), record.render().as_bytes())
    }

    fn file(&self) -> PathBuf {
        self.own.join(RECORD)
    }
}

fn copy(
    source: &Side,
    target: Side,
    part: Part,
    holder: &dyn Holder,
    backup: &Path,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let (Ok(source), Ok(mut target)) = (&source.file, target.file) else { return Ok(()) };
    let part = match part {
        Part::Login => source.login_only(),
        Part::AccessToken => source.access_only(),
    };
    if let Some(replaced) = target.login_only() {
        go_on()?;
        files::write(backup, replaced.render().reveal().as_bytes())?;
    }
    target.set_login(part.as_ref());
    go_on()?;
    holder.write(&target.render())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use boxwood_protocol::{ErrorCode, RpcError};
    use serde_json::{Value, json};

    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;
    const NOW: i64 = 1_795_000_000_000;
    const ACCOUNT: &str = "00000000-0000-4000-8000-000000000001";

    struct World {
        root: tempfile::TempDir,
        host: ClaudeDirectory,
        sandbox: ClaudeDirectory,
    }

    fn login(number: i64) -> Value {
        json!({
            "accessToken": format!("sk-ant-oat01-{number}"), "refreshToken": format!("sk-ant-ort01-{number}"),
            "expiresAt": NOW + number * HOUR, "refreshTokenExpiresAt": NOW + (24 * 30 + number) * HOUR,
            "scopes": ["user:inference"], "accountUuid": ACCOUNT,
        })
    }

    impl World {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a directory");
            let open = |name: &str| {
                let home = root.path().join(name);
                fs::create_dir(&home).expect("made");
                ClaudeDirectory::open(&home).expect("opened")
            };
            let (host, sandbox) = (open("host"), open("sandbox"));
            fs::create_dir(root.path().join("own")).expect("made");
            Self { root, host, sandbox }
        }

        fn put(side: &ClaudeDirectory, login: &Value) {
            let mut file: Value = Self::file(side);
            file["claudeAiOauth"] = login.clone();
            fs::write(side.path(".credentials.json"), file.to_string()).expect("written");
        }

        fn file(side: &ClaudeDirectory) -> Value {
            let text = fs::read_to_string(side.path(".credentials.json"));
            text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(|| json!({}))
        }

        fn login(side: &ClaudeDirectory) -> Value {
            Self::file(side)["claudeAiOauth"].clone()
        }

        fn same(&self, winner: Option<CredentialSide>, mut writes: usize) -> Result<Decision> {
            let own = self.root.path().join("own");
            let pair = Pair { host: &self.host, account: HostAccount::default(), sandbox: &self.sandbox, own: &own };
            pair.make_same(winner, &Clock::at(NOW), &mut || {
                writes = writes.checked_sub(1).ok_or_else(|| RpcError::new(ErrorCode::Internal, "killed"))?;
                Ok(())
            })
        }

        fn made_same(&self) -> Decision {
            self.same(None, usize::MAX).expect("decided")
        }

        fn backup(&self, name: &str) -> String {
            fs::read_to_string(self.root.path().join("own").join(name)).unwrap_or_default()
        }
    }

    #[test]
    fn what_one_side_renews_the_other_has() {
        let world = World::new();
        World::put(&world.host, &login(1));
        drop(world.made_same());
        assert_eq!(World::login(&world.sandbox), login(1));
        for (number, (from, to)) in (2..).zip([(&world.sandbox, &world.host), (&world.host, &world.sandbox)]) {
            World::put(from, &login(number));
            assert!(matches!(world.made_same(), Decision::Copy { part: Part::Login, .. }));
            assert_eq!(World::login(to), login(number));
            assert_eq!(world.made_same(), Decision::Keep(Kept::Equal));
        }
        assert!(world.backup("replaced-on-host.json").contains("sk-ant-ort01-1"));
        assert!(world.backup("replaced-in-sandbox.json").contains("sk-ant-ort01-2"));
    }

    #[test]
    fn a_copy_that_was_killed_anywhere_is_made_whole_the_next_time() {
        for writes in 0.. {
            let world = World::new();
            World::put(&world.host, &login(1));
            drop(world.made_same());
            World::put(&world.sandbox, &login(2));
            let is_whole = world.same(None, writes).is_ok();
            let host = World::login(&world.host);
            assert!(host == login(1) || host == login(2), "killed at {writes}");
            drop(world.made_same());
            assert_eq!((World::login(&world.host), World::login(&world.sandbox)), (login(2), login(2)));
            // The record is as if nothing had happened: what is renewed on the other side is known as newer.
            World::put(&world.host, &login(3));
            drop(world.made_same());
            assert_eq!(World::login(&world.sandbox), login(3), "killed at {writes}");
            if is_whole {
                assert!(writes >= 4);
                break;
            }
        }
    }

    #[test]
    fn a_blanked_login_goes_nowhere() {
        let world = World::new();
        World::put(&world.host, &login(1));
        drop(world.made_same());
        let blank = json!({ "accessToken": "", "refreshToken": "", "expiresAt": 0, "scopes": ["user:inference"] });
        World::put(&world.sandbox, &blank);
        assert!(matches!(
            world.made_same(),
            Decision::Copy { from: CredentialSide::Host, part: Part::AccessToken, .. }
        ));
        assert_eq!(World::login(&world.host), login(1));
        let lent = World::login(&world.sandbox);
        assert_eq!((&lent["accessToken"], lent.get("refreshToken")), (&json!("sk-ant-oat01-1"), None));
    }

    #[test]
    fn what_is_not_clear_is_the_persons_to_decide() {
        let world = World::new();
        let mut other = login(2);
        other["accountUuid"] = json!("00000000-0000-4000-8000-000000000002");
        World::put(&world.host, &login(1));
        World::put(&world.sandbox, &other);
        assert_eq!(world.made_same(), Decision::Conflict(Conflict::OtherAccount));
        assert_eq!((World::login(&world.host), World::login(&world.sandbox)), (login(1), other.clone()));
        drop(world.same(Some(CredentialSide::Sandbox), usize::MAX).expect("done"));
        assert_eq!(World::login(&world.host), other);
        assert!(world.backup("replaced-on-host.json").contains("sk-ant-ort01-1"), "what it replaced is kept");
    }

    #[test]
    fn what_is_not_claudes_login_stays_where_it_is() {
        let world = World::new();
        let own = |name: &str| json!({ name: { "accessToken": name } });
        for (side, name) in [(&world.host, "pluginSecrets"), (&world.sandbox, "mcpOAuth")] {
            fs::write(side.path(".credentials.json"), own(name).to_string()).expect("written");
        }
        World::put(&world.host, &login(1));
        drop(world.made_same());
        let (host, sandbox) = (World::file(&world.host), World::file(&world.sandbox));
        assert_eq!((host.get("mcpOAuth"), sandbox.get("pluginSecrets")), (None, None));
        assert_eq!(
            (&host["pluginSecrets"]["accessToken"], &sandbox["mcpOAuth"]["accessToken"]),
            (&json!("pluginSecrets"), &json!("mcpOAuth"),)
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_alone() {
        let world = World::new();
        World::put(&world.host, &login(1));
        for broken in ["{ half", "[]", "\u{0}"] {
            fs::write(world.sandbox.path(".credentials.json"), broken).expect("written");
            assert_eq!(world.made_same(), Decision::Conflict(Conflict::Unreadable(CredentialSide::Sandbox)));
            assert_eq!(fs::read_to_string(world.sandbox.path(".credentials.json")).expect("there"), broken);
        }
        assert_eq!(World::login(&world.host), login(1));
    }
}
