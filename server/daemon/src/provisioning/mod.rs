//! Puts into a sandbox's configuration directory what its credential needs there, and takes away what another mode left.
//!
//! Every write is a file put in place whole, in an order in which a kill between any two of them leaves no more inside
//! than the mode before or the mode after allows. Done again from the beginning, it ends in the same files.

pub(crate) mod copies;
pub(crate) mod hold;
pub(crate) mod origin;
pub(crate) mod refused;
pub(crate) mod requests;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod wish;

use std::path::{Path, PathBuf};

use boxwood_core::credentials::environment::{Material, Server};
use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::provision::{Before, Injection, OwnFile, Place, Provision, Traces, provide};
use boxwood_core::credentials::{CredentialFile, Secret};
use boxwood_core::seed;
use boxwood_protocol::credentials::CredentialMode;

use crate::claude_directory::{ClaudeDirectory, Found};
use crate::error::Result;
use crate::files;

/// What is in the sandbox on account of its credential, in the sandbox's own directory on the host.
const TRACES: &str = "credentials.json";
/// Where files go that Claude Code could not read, beside the home.
const BROKEN: &str = "broken";
/// What replaced logins are called.
pub(crate) const REPLACED: &str = ".credentials.json.replaced";

/// Where a sandbox's things are.
#[derive(Debug, Clone)]
pub(crate) struct Where {
    /// The sandbox's own directory on the host; nothing in it but the home is visible inside.
    pub(crate) own: PathBuf,
    /// Its home on the host.
    pub(crate) home: PathBuf,
    /// Claude's configuration directory inside.
    pub(crate) configuration: String,
    /// The project inside.
    pub(crate) workspace: String,
    /// The login home that takes a login which was made inside and is no longer held there.
    pub(crate) park: PathBuf,
}

/// What remains to be done by whoever asked: the gateway's part, and what to tell.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) injections: Vec<Injection>,
    pub(crate) reach: Vec<Server>,
    pub(crate) warnings: Vec<String>,
}

/// The mode that a sandbox's files are in, once there was one.
pub(crate) fn mode_of(own: &Path) -> Option<CredentialMode> {
    traces(own).mode()
}

/// Whether both sides have to be made the same once more before the sandbox holds anything but a copy.
pub(crate) fn is_last_sync_due(own: &Path, mode: CredentialMode) -> bool {
    traces(own).mode() == Some(CredentialMode::Sync) && mode != CredentialMode::Sync
}

/// Whether nothing but a short-lived access token is to be inside.
fn is_token(own: &Path) -> bool {
    traces(own).mode() == Some(CredentialMode::Token)
}

/// Removes what is kept of logins that a sandbox had: those that a copy took the place of, and what could not be read.
pub(crate) fn forget_kept(own: &Path) -> Result<()> {
    sync::forget_replaced(own)?;
    files::remove(&own.join(BROKEN).join(OwnFile::Credentials.name()))
}

/// Whether the sandbox holds a copy of a login.
pub(crate) fn is_copy(own: &Path) -> bool {
    traces(own).mode() == Some(CredentialMode::Sync)
}

/// Has a sandbox hold `material` as `mode` says. `go_on` is asked before every write; its error ends it there.
pub(crate) fn apply(
    place: &Where,
    mode: CredentialMode,
    material: Option<&Material>,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<Applied> {
    let directory = ClaudeDirectory::open(&place.home)?;
    directory.sweep();
    for file in OwnFile::ALL {
        // Whoever follows it finds something that nobody here looks at.
        directory.unlink_oddity(file.name())?;
    }
    let before = Texts::read(&directory)?;
    let file = before.credentials.as_deref().map(CredentialFile::parse);
    let provision = provide(
        mode,
        material,
        &traces(&place.own),
        &Before {
            claude_json: before.claude_json.as_deref(),
            settings: before.settings.as_deref(),
            credentials: file.as_ref().map(|file| file.as_ref().map_err(|cause| *cause)),
        },
        &Place { configuration: &place.configuration, workspace: &place.workspace },
    );
    let told = Work { place, directory: &directory, go_on }.carry_out(&provision)?;
    let Provision { injections, reach, mut warnings, .. } = provision;
    warnings.extend(told);
    Ok(Applied { injections, reach, warnings })
}

/// Writes only what has nothing to do with a credential: onboarding done, the project trusted, full autonomy.
pub(crate) fn seed_base(place: &Where) -> Result<Vec<String>> {
    let directory = ClaudeDirectory::open(&place.home)?;
    let before = Texts::read(&directory)?;
    let mut warnings = Vec::new();
    let claude_json = seed::claude_json(before.claude_json.as_deref(), &place.workspace);
    for (file, seeded) in
        [(OwnFile::ClaudeJson, claude_json), (OwnFile::Settings, seed::settings(before.settings.as_deref()))]
    {
        if seeded.is_replacing_broken {
            warnings.push(keep_broken(place, &directory, file)?);
        }
        directory.write_if_different(file.name(), &seeded.contents)?;
    }
    Ok(warnings)
}

/// Copies out of the sandbox what Claude Code could not read, and says so.
fn keep_broken(place: &Where, directory: &ClaudeDirectory, file: OwnFile) -> Result<String> {
    let broken = place.own.join(BROKEN);
    files::private_directory(&broken)?;
    let kept = broken.join(file.name());
    directory.copy_out(file.name(), &kept)?;
    Ok(format!("{} could not be read and was kept as {}", directory.path(file.name()).display(), kept.display()))
}

fn traces(own: &Path) -> Traces {
    files::read_json(&own.join(TRACES)).unwrap_or_default()
}

/// What stands in the directory.
struct Texts {
    claude_json: Option<String>,
    settings: Option<String>,
    credentials: Option<Vec<u8>>,
}

impl Texts {
    fn read(directory: &ClaudeDirectory) -> Result<Self> {
        // What is too large to be read is broken, which an empty text is as well.
        let text = |file: OwnFile| -> Result<Option<String>> {
            Ok(match directory.read(file.name())? {
                Found::Text(text) => Some(text),
                Found::TooLarge => Some(String::new()),
                Found::Nothing => None,
            })
        };
        Ok(Self {
            claude_json: text(OwnFile::ClaudeJson)?,
            settings: text(OwnFile::Settings)?,
            credentials: directory.head(OwnFile::Credentials.name(), MAX_BYTES as u64 + 1)?,
        })
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;

        self.claude_json.zeroize();
        self.settings.zeroize();
        self.credentials.zeroize();
    }
}

struct Work<'a> {
    place: &'a Where,
    directory: &'a ClaudeDirectory,
    go_on: &'a mut dyn FnMut() -> Result<()>,
}

impl Work<'_> {
    fn carry_out(&mut self, provision: &Provision) -> Result<Vec<String>> {
        let mut told = Vec::new();
        self.keep_traces(&provision.meanwhile)?;
        if let Some(login) = &provision.parked {
            (self.go_on)()?;
            park(&self.place.park, &login.render())?;
        }
        for file in &provision.broken {
            (self.go_on)()?;
            told.push(keep_broken(self.place, self.directory, *file)?);
        }
        for change in &provision.changes {
            (self.go_on)()?;
            match &change.contents {
                Some(contents) => self.directory.write_if_different(change.file.name(), contents.reveal())?,
                None => self.directory.remove(change.file.name())?,
            }
        }
        if provision.traces.mode() != Some(CredentialMode::Sync) {
            // What the copy took the place of is a login, too.
            (self.go_on)()?;
            sync::forget_replaced(&self.place.own)?;
        }
        self.keep_traces(&provision.traces)?;
        Ok(told)
    }

    fn keep_traces(&mut self, traces: &Traces) -> Result<()> {
        (self.go_on)()?;
        files::write_json(&self.place.own.join(TRACES), traces)
    }
}

/// Puts a login into a login home. One that is there already is kept beside it.
fn park(home: &Path, login: &Secret) -> Result<()> {
    files::private_directory(home)?;
    let directory = ClaudeDirectory::open(home)?;
    let name = OwnFile::Credentials.name();
    match directory.read(name)? {
        Found::Text(text) if text == login.reveal() => return Ok(()),
        Found::Text(_) | Found::TooLarge => directory.rename(name, REPLACED)?,
        Found::Nothing => {}
    }
    directory.write_if_different(name, login.reveal())
}

#[cfg(test)]
mod tests;
