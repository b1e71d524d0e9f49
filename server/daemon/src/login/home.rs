//! Login homes: directories in which the real `claude` has signed in, one for each name.
//!
//! A sign-in happens in a directory of its own, which takes the place of the one before in one move when the login in it is
//! whole. Whatever interrupts it leaves the login before as it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use boxwood_core::credentials::host::HostAccount;
use boxwood_core::credentials::view::{AccountId, LoginState, Sameness};
use boxwood_core::credentials::{CredentialFile, Secret, View};
use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};
use zeroize::Zeroizing;

use crate::error::{self, Result};
use crate::files;

const LOGIN: &str = ".credentials.json";
const CONFIG: &str = ".claude.json";
/// Directories of sign-ins that run, with the operation's id behind it.
const NEW: &str = ".new-";
/// What a sign-in took the place of, with its name behind it, where that cannot be done in one move.
const BEFORE: &str = ".before-";
/// Largest file of Claude's that is read, bytes.
const LARGEST: u64 = 16 << 20;

/// The directory with all of them.
pub(super) fn root(paths: &Paths) -> PathBuf {
    paths.state.join("logins")
}

/// The login home of this name, whether it is there or not.
pub(super) fn path(paths: &Paths, name: &str) -> PathBuf {
    root(paths).join(name)
}

/// A login that is kept in a directory.
pub(super) struct Held {
    pub(super) file: CredentialFile,
    pub(super) account: HostAccount,
    /// An API key of the console.
    key: Option<Secret>,
}

impl Held {
    /// Reads what is in a directory. What is not there is empty.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let text = |name: &str| {
            let path = directory.join(name);
            // Whoever wrote it may have put anything there.
            match files::read_project_file(&path, LARGEST).map(Zeroizing::new) {
                Ok(bytes) => Ok(bytes),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Zeroizing::default()),
                Err(cause) => Err(error::file("read", &path, &cause)),
            }
        };
        let (login, config) = (text(LOGIN)?, text(CONFIG)?);
        let file = match login.is_empty() {
            true => CredentialFile::default(),
            false => CredentialFile::parse(&login).map_err(|cause| {
                let path = directory.join(LOGIN);
                RpcError::new(ErrorCode::StateFailed, format!("failed to read {}", path.display())).caused_by(cause)
            })?,
        };
        let config = Zeroizing::new(String::from_utf8_lossy(&config).into_owned());
        Ok(Self { file, account: HostAccount::read(&config), key: key(&config) })
    }

    /// What the login says of itself.
    pub(super) fn view(&self) -> View {
        self.account.complete(self.file.view())
    }

    /// Whether somebody is signed in.
    pub(super) fn is_signed_in(&self) -> bool {
        matches!(self.view().state, LoginState::Full | LoginState::AccessOnly)
    }

    /// Takes the API key out.
    pub(super) fn take_key(&mut self) -> Option<Secret> {
        self.key.take()
    }

    /// Whether another login is surely of the same account.
    pub(super) fn is_of_same_account(&self, other: &Self) -> bool {
        match self.view().account_of(&other.view()) {
            Sameness::Same => true,
            Sameness::Another => false,
            Sameness::Unknown => self.account.email.is_some() && self.account.email == other.account.email,
        }
    }

    /// Whose account it was, also when its login has been blanked.
    pub(super) fn had_account(&self) -> bool {
        !matches!(self.view().state, LoginState::Absent | LoginState::Stub)
    }
}

/// The API key that `claude auth login --console` left.
fn key(config: &str) -> Option<Secret> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(rename = "primaryApiKey")]
        key: Option<Secret>,
    }
    let config: Config = serde_json::from_str(config).ok()?;
    config.key.filter(|key| !key.reveal().is_empty())
}

/// A directory for a sign-in that runs. It goes when this does.
pub(super) struct Fresh {
    directory: PathBuf,
}

impl Fresh {
    /// Makes one for the operation `trace`.
    pub(super) fn make(paths: &Paths, trace: &str) -> Result<Self> {
        files::private_directory(&root(paths))?;
        let fresh = Self { directory: root(paths).join(format!("{NEW}{trace}")) };
        files::private_directory(&fresh.directory)?;
        files::private_directory(&fresh.claude())?;
        Ok(fresh)
    }

    /// What Claude has for its configuration.
    pub(super) fn claude(&self) -> PathBuf {
        self.directory.join("claude")
    }

    /// Where what else the container is given can be.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts the login that was made here in the place of the one that is kept under `name`. What else is in that one's
    /// credential file, logins of other servers for example, stays.
    pub(super) fn put(&self, paths: &Paths, name: &str, made: &Held) -> Result<()> {
        let (new, kept) = (self.claude(), path(paths, name));
        let mut whole = Held::read(&kept).map(|before| before.file).unwrap_or_default();
        whole.set_login(Some(&made.file));
        files::write(&new.join(LOGIN), whole.render().reveal().as_bytes())?;
        files::private_directory(&new)?;
        let failed = |cause: io::Error| error::file("put the new login to", &kept, &cause);
        if !kept.exists() {
            return fs::rename(&new, &kept).map_err(failed);
        }
        if exchange(&new, &kept) {
            return Ok(());
        }
        let before = root(paths).join(format!("{BEFORE}{name}"));
        files::remove_directory(&before)?;
        fs::rename(&kept, &before).map_err(failed)?;
        if let Err(cause) = fs::rename(&new, &kept) {
            fs::rename(&before, &kept).map_err(failed)?;
            return Err(failed(cause));
        }
        files::remove_directory(&before)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Err(problem) = files::remove_directory(&self.directory) {
            tracing::warn!(%problem, "the directory of a sign-in stays behind until the daemon starts anew");
        }
    }
}

/// Has two directories change their places in one move, where the system and the file system can.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_one: &Path, _other: &Path) -> bool {
    false
}

/// Puts right what an interrupted sign-in left: the login before is the one that counts unless the new one is in its place.
pub(super) fn repair(paths: &Paths, is_running: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(root(paths)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // What was being removed has another ending.
        let bare = name.strip_suffix(".removed").unwrap_or(&name);
        if let Some(trace) = bare.strip_prefix(NEW) {
            if !is_running(trace) {
                remove(&entry.path())?;
            }
        } else if let Some(home) = bare.strip_prefix(BEFORE) {
            let kept = path(paths, home);
            if kept.exists() || bare != name {
                remove(&entry.path())?;
            } else {
                fs::rename(entry.path(), &kept).map_err(|cause| error::file("put back", &kept, &cause))?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(error::file("remove", path, &cause)),
        _ => Ok(()),
    }
}

/// Id of an account, for a person, where it does not say its address.
pub(super) fn id_of(view: &View) -> Option<String> {
    view.account.as_ref().map(AccountId::as_str).map(str::to_owned)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::login) const ADA: &str = "11111111-1111-4111-8111-111111111111";
    pub(in crate::login) const BOB: &str = "22222222-2222-4222-8222-222222222222";

    pub(in crate::login) fn paths(directory: &Path) -> Paths {
        let root = directory.to_string_lossy().into_owned();
        Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0)
    }

    /// Writes a login as Claude Code does.
    pub(in crate::login) fn sign_in(claude: &Path, account: &str, token: &str) {
        fs::create_dir_all(claude).expect("made");
        let login = json!({ "claudeAiOauth": { "accessToken": format!("sk-ant-oat01-{token}"),
            "refreshToken": format!("sk-ant-ort01-{token}"), "expiresAt": 4_000_000_000_000_i64,
            "scopes": ["user:inference"], "accountUuid": account } });
        fs::write(claude.join(LOGIN), login.to_string()).expect("written");
        let config = json!({ "oauthAccount": { "accountUuid": account, "emailAddress": format!("{}@mail.example", &account[..1]) } });
        fs::write(claude.join(CONFIG), config.to_string()).expect("written");
    }

    pub(in crate::login) fn names(paths: &Paths) -> Vec<String> {
        let entries = fs::read_dir(root(paths)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_login_takes_the_place_of_the_one_before_and_what_else_was_there_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = paths(directory.path());
        for (round, account) in [(1, ADA), (2, BOB)] {
            let fresh = Fresh::make(&paths, "trace").expect("made");
            sign_in(&fresh.claude(), account, &format!("round{round}"));
            let made = Held::read(&fresh.claude()).expect("read");
            assert!(made.is_signed_in());
            fresh.put(&paths, "default", &made).expect("put");
            drop(fresh);
            let kept = path(&paths, "default");
            assert_eq!(names(&paths), ["default"]);
            assert_eq!(id_of(&Held::read(&kept).expect("read").view()).as_deref(), Some(account));
            let text = fs::read_to_string(kept.join(LOGIN)).expect("there");
            assert!(text.contains(&format!("sk-ant-ort01-round{round}")) && !text.contains("round0"), "{text}");
            if round == 1 {
                let with_more = text.replacen('{', "{\"mcpOAuth\":{\"a\":1},", 1);
                fs::write(kept.join(LOGIN), with_more).expect("written");
            } else {
                assert!(text.contains("mcpOAuth"), "{text}");
            }
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            let kept = path(&paths, "default");
            assert_eq!((mode(&kept), mode(&kept.join(LOGIN))), (0o700, 0o600));
        }
    }

    #[test]
    fn what_an_interruption_left_is_put_right() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = paths(directory.path());
        let at = |name: &str| root(&paths).join(name);
        sign_in(&at(".new-gone/claude"), ADA, "half");
        sign_in(&at(".new-running/claude"), ADA, "half");
        sign_in(&at(".new-old.removed"), ADA, "half");
        sign_in(&at(".before-first"), ADA, "before");
        sign_in(&at(".before-second"), ADA, "before");
        sign_in(&at("second"), ADA, "after");
        repair(&paths, |trace| trace == "running").expect("repaired");
        assert_eq!(names(&paths), [".new-running", "first", "second"]);
        let token = |name: &str| fs::read_to_string(at(name).join(LOGIN)).expect("there");
        assert!(token("first").contains("before") && token("second").contains("after"));
    }

    #[test]
    fn a_key_of_the_console_is_found_and_an_unreadable_login_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(LOGIN), "{}").expect("written");
        fs::write(directory.path().join(CONFIG), r#"{"primaryApiKey":"sk-ant-api03-k"}"#).expect("written");
        let mut held = Held::read(directory.path()).expect("read");
        assert!(!held.is_signed_in() && !held.had_account());
        assert_eq!(held.take_key().expect("a key").reveal(), "sk-ant-api03-k");
        fs::write(directory.path().join(LOGIN), r#"{"claudeAiOauth":{"accessToken":"sk-ant-oat01-cut"#)
            .expect("written");
        let problem = Held::read(directory.path()).err().expect("an error");
        assert!(!format!("{problem} {problem:?}").contains("sk-ant"), "{problem}");
    }
}
