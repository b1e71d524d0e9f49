//! Signing in to a login home, interrupted at every step: the login before or the new one is there, whole.

use serde_json::{Value, json};

use super::*;

pub(in crate::login) const ADA: &str = "11111111-1111-4111-8111-111111111111";
pub(in crate::login) const BOB: &str = "22222222-2222-4222-8222-222222222222";

pub(in crate::login) fn paths(directory: &Path) -> Paths {
    let root = directory.to_string_lossy().into_owned();
    Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0)
}

/// Writes a login as Claude Code does, into its directory.
pub(in crate::login) fn sign_in(claude: &Path, account: &str, token: &str) {
    fs::create_dir_all(claude).expect("made");
    let login = json!({ "claudeAiOauth": { "accessToken": format!("sk-ant-oat01-{token}"),
        "refreshToken": format!("sk-ant-ort01-{token}"), "expiresAt": 4_000_000_000_000_i64,
        "scopes": ["user:inference"], "accountUuid": account } });
    fs::write(claude.join(LOGIN), login.to_string()).expect("written");
    let config = json!({ "oauthAccount": { "accountUuid": account, "emailAddress": mail(account) } });
    fs::write(claude.join(CONFIG), config.to_string()).expect("written");
}

fn mail(account: &str) -> String {
    format!("{}@mail.example", &account[..1])
}

pub(in crate::login) fn names(paths: &Paths) -> Vec<String> {
    let entries = fs::read_dir(root(paths)).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

struct World {
    paths: Paths,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { paths: paths(directory.path()), _directory: directory }
    }

    fn claude(&self) -> PathBuf {
        path(&self.paths, "default").join(".claude")
    }

    fn signed_in(&self, account: &str, token: &str) -> Fresh {
        let fresh = Fresh::make(&self.paths, token).expect("made");
        sign_in(&fresh.claude(), account, token);
        fresh
    }

    /// Signs in, and is killed before the write with this number.
    fn put(&self, account: &str, token: &str, mut writes: usize) -> Result<()> {
        let fresh = self.signed_in(account, token);
        fs::create_dir_all(path(&self.paths, "default")).expect("made");
        let home = ClaudeDirectory::open(&path(&self.paths, "default")).expect("opened");
        fresh.put_into(&self.paths, "default", &home, &mut || {
            writes = writes.checked_sub(1).ok_or_else(|| RpcError::new(ErrorCode::Internal, "killed"))?;
            Ok(())
        })
    }

    fn kept(&self) -> Held {
        Held::read(&path(&self.paths, "default")).expect("read")
    }

    fn account(&self) -> Option<String> {
        id_of(&self.kept().view())
    }

    fn file(&self) -> Value {
        serde_json::from_slice(&fs::read(self.claude().join(LOGIN)).expect("there")).expect("whole")
    }
}

#[tokio::test]
async fn a_login_takes_the_place_of_the_one_before_where_that_is_mounted() {
    let world = World::new();
    world.signed_in(ADA, "first").put(&world.paths, "default").await.expect("put");
    assert_eq!((names(&world.paths), world.account()), (vec!["default".to_owned()], Some(ADA.to_owned())));
    let mut file = world.file();
    file["mcpOAuth"] = json!({ "a": 1 });
    fs::write(world.claude().join(LOGIN), file.to_string()).expect("written");
    // Of somebody who has it mounted the name is not asked again.
    #[cfg(unix)]
    let before = std::os::unix::fs::MetadataExt::ino(&fs::metadata(world.claude()).expect("there"));
    world.signed_in(BOB, "second").put(&world.paths, "default").await.expect("put");
    assert_eq!(names(&world.paths), [".replaced-default", "default"]);
    assert_eq!((world.account(), &world.file()["mcpOAuth"]), (Some(BOB.to_owned()), &json!({ "a": 1 })));
    assert_eq!(world.kept().account.email, Some(mail(BOB)));
    let replaced = fs::read_to_string(root(&world.paths).join(".replaced-default").join(LOGIN)).expect("kept");
    assert!(replaced.contains("sk-ant-ort01-first"));
    let locks = fs::read_dir(world.claude()).expect("there").flatten().count();
    assert_eq!(locks, 2, "no lock stays");
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        assert_eq!(fs::metadata(world.claude()).expect("there").ino(), before, "the directory is the one that was");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let kept = path(&world.paths, "default");
        assert_eq!((mode(&kept), mode(&world.claude()), mode(&world.claude().join(LOGIN))), (0o700, 0o700, 0o600));
    }
}

#[tokio::test]
async fn what_an_interruption_left_is_finished_or_taken_away() {
    for writes in 0.. {
        let world = World::new();
        world.put(ADA, "before", usize::MAX).expect("put");
        let is_whole = world.put(BOB, "after", writes).is_ok();
        let account = world.account().expect("a login is there, whole");
        assert!([ADA, BOB].contains(&account.as_str()), "killed at {writes}: {account}");
        if account == BOB && !is_whole {
            // A sandbox renews it before the daemon is back.
            let renewed = world.file().to_string().replace("after", "renewed");
            fs::write(world.claude().join(LOGIN), renewed).expect("written");
        }
        let unfinished = repair(&world.paths, |_| false).expect("repaired");
        for name in &unfinished {
            resume(&world.paths, name).await.expect("finished");
        }
        let expected = if account == BOB || !unfinished.is_empty() { BOB } else { ADA };
        assert_eq!(world.account().as_deref(), Some(expected), "killed at {writes}");
        assert_eq!(world.kept().account.email, Some(mail(expected)), "killed at {writes}");
        let is_renewed = world.file().to_string().contains("sk-ant-ort01-renewed");
        assert_eq!(is_renewed, account == BOB && !is_whole, "what was renewed is not put back, killed at {writes}");
        assert!(names(&world.paths).iter().all(|name| !name.starts_with(NEW) && !name.starts_with(READY)));
        if is_whole {
            assert!(writes > 6, "{writes}");
            break;
        }
    }
}

#[test]
fn what_was_begun_and_what_was_being_removed_goes() {
    let world = World::new();
    let at = |name: &str| root(&world.paths).join(name);
    for name in [".new-gone", ".new-running", ".new-old.removed", ".ready-a.removed", ".ready-b", "second"] {
        sign_in(&at(name).join(".claude"), ADA, "some");
    }
    let unfinished = repair(&world.paths, |trace| trace == "running").expect("repaired");
    assert_eq!(unfinished, ["b"]);
    assert_eq!(names(&world.paths), [".new-running", ".ready-b", "second"]);
}

#[test]
fn a_key_of_the_console_is_found_and_an_unreadable_login_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let claude = directory.path().join(".claude");
    fs::create_dir(&claude).expect("made");
    fs::write(claude.join(LOGIN), "{}").expect("written");
    fs::write(claude.join(CONFIG), r#"{"primaryApiKey":"sk-ant-api03-k"}"#).expect("written");
    let mut held = Held::read(directory.path()).expect("read");
    assert!(!held.is_signed_in() && !held.had_account());
    assert_eq!(held.take_key().expect("a key").reveal(), "sk-ant-api03-k");
    fs::write(claude.join(LOGIN), r#"{"claudeAiOauth":{"accessToken":"sk-ant-oat01-cut"#).expect("written");
    let problem = Held::read(directory.path()).err().expect("an error");
    assert!(!format!("{problem} {problem:?}").contains("sk-ant"), "{problem}");
}

#[cfg(unix)]
#[tokio::test]
async fn links_that_a_sandbox_put_into_a_login_home_lead_nowhere() {
    let world = World::new();
    world.put(ADA, "before", usize::MAX).expect("put");
    let outside = world.paths.state.join("outside.json");
    let other =
        json!({ "claudeAiOauth": { "accessToken": "of-the-host", "refreshToken": "x", "scopes": ["user:inference"] } });
    fs::write(&outside, other.to_string()).expect("written");
    for name in [LOGIN, CONFIG] {
        fs::remove_file(world.claude().join(name)).expect("removed");
        std::os::unix::fs::symlink(&outside, world.claude().join(name)).expect("linked");
    }
    assert!(!world.kept().is_signed_in(), "it is not read");
    world.signed_in(BOB, "after").put(&world.paths, "default").await.expect("put");
    assert_eq!(fs::read_to_string(&outside).expect("there"), other.to_string(), "it is not written");
    assert_eq!(world.account().as_deref(), Some(BOB));
}
