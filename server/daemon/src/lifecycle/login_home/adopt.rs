//! A login that was made in a sandbox's own home, as it was before there were login homes, moves to one.

use std::path::Path;

use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::view::{Age, Sameness};
use boxwood_core::credentials::{Clock, CredentialFile, LoginState};
use boxwood_protocol::credentials::CredentialMode;

use super::{LOGIN, keep_replaced, name};
use crate::claude_directory::{ClaudeDirectory, Locked};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::steps::Work;
use crate::{provisioning, sys};

/// Whether a login is in a sandbox's own home that was made there, and not put there by its agent in another mode.
pub(super) fn is_due(daemon: &Daemon, sandbox: &str) -> bool {
    let is_its_own =
        matches!(provisioning::mode_of(&daemon.paths.sandbox(sandbox)), None | Some(CredentialMode::Isolated));
    let home = daemon.records.home(sandbox);
    is_its_own
        && home.join(".claude").exists()
        && ClaudeDirectory::open(&home).is_ok_and(|directory| login_in(&directory).is_some())
}

/// The credential file, when a login is in it that can be renewed.
fn login_in(directory: &ClaudeDirectory) -> Option<CredentialFile> {
    let bytes = directory.head(LOGIN, MAX_BYTES as u64 + 1).ok()??;
    CredentialFile::parse(&bytes).ok().filter(|file| file.view().state == LoginState::Full)
}

/// Moves the login, if there is one, to the login home that the sandbox is to have. Nothing that runs may use it where it
/// is.
pub(super) async fn adopt(daemon: &Daemon, sandbox: &str) -> Result<()> {
    if !is_due(daemon, sandbox) {
        return Ok(());
    }
    let (logins, name) = (daemon.sources.logins(), name(daemon, sandbox));
    let from = Locked::open(&daemon.records.home(sandbox)).await?;
    let to = Locked::open(&logins.join(&name)).await?;
    move_login(from.directory(), to.directory(), logins, &name, &mut || from.check().and_then(|()| to.check()))
}

impl Work {
    /// Has a login that was made in the sandbox's own home where all of them are. Where that fails, the person can sign in.
    pub(in crate::lifecycle) async fn adopt_login(&mut self) {
        if let Err(problem) = adopt(&self.daemon, &self.identity.id).await {
            self.warnings.push(format!("the login in its home could not be moved to the login home: {problem}"));
        }
    }
}

/// It is in one of both places at every moment, and arrives in one move: nobody ever finds it where it was after another
/// has renewed it where it is.
pub(super) fn move_login(
    from: &ClaudeDirectory,
    to: &ClaudeDirectory,
    logins: &Path,
    name: &str,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let Some(mut own) = login_in(from) else { return Ok(()) };
    let Some(there) = to.head(LOGIN, MAX_BYTES as u64 + 1)? else {
        go_on()?;
        return from.move_to(LOGIN, to).map(drop);
    };
    let mut there = CredentialFile::parse(&there).unwrap_or_default();
    let (mine, other) = (own.view(), there.view());
    let is_renewed_there = other.state == LoginState::Full
        && mine.account_of(&other) == Sameness::Same
        && mine.age_beside(&other, &Clock::at(sys::now_ms())) != Age::Newer;
    if !is_renewed_there {
        go_on()?;
        keep_replaced(logins, name, to)?;
        there.set_login(Some(&own));
        go_on()?;
        from.write_if_different(LOGIN, there.render().reveal())?;
        go_on()?;
        from.move_to(LOGIN, to)?;
    }
    // What else was in it stays where it was made.
    own.set_login(None);
    go_on()?;
    match own.is_empty() {
        true => from.remove(LOGIN),
        false => from.write_if_different(LOGIN, own.render().reveal()),
    }
}
