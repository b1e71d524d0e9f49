//! What a sandbox and its gateway get for a credential in a mode, and what goes away of what another mode left there.
//!
//! The answer is complete: carried out again, or after having been interrupted anywhere, it ends in the same files. In the
//! sandbox's settings everything stays that is not ours; what is ours is known from [`Traces`].

mod wanted;

use std::collections::BTreeSet;

use boxwood_protocol::credentials::{CredentialMode, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use wanted::{AWS_FILE, Injection, PLACEHOLDER_KEY, PLACEHOLDER_LOGIN, PLACEHOLDER_TOKEN, STRIPPED};
use wanted::{Wanted, WantedLogin};

use super::environment::{Material, Server};
use super::file::{CredentialFile, FileError};
use super::view::LoginState;
use crate::seed;

/// A file of Claude's configuration directory that is written or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnFile {
    /// The credential file.
    Credentials,
    /// The key that `apiKeyHelper` reads.
    Key,
    /// The AWS credentials that `awsCredentialExport` reads.
    Aws,
    /// Settings.
    Settings,
    /// Claude's state.
    ClaudeJson,
}

impl OwnFile {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Credentials, Self::Key, Self::Aws, Self::Settings, Self::ClaudeJson];

    /// Its name. Every one of them is for its owner alone: mode 0600.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credentials => ".credentials.json",
            Self::Key => seed::KEY_FILE,
            Self::Aws => AWS_FILE,
            Self::Settings => "settings.json",
            Self::ClaudeJson => ".claude.json",
        }
    }
}

/// A file to write by atomic replace, or to remove when there is nothing to write.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub file: OwnFile,
    /// Its content.
    pub contents: Option<Secret>,
}

/// What is in a sandbox on account of its credential. Kept by the daemon, outside the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traces {
    /// Version of the form.
    version: u32,
    /// The mode, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<CredentialMode>,
    /// Variables in the settings.
    #[serde(default)]
    variables: BTreeSet<String>,
    /// Approved ends of keys; they are ends of placeholders.
    #[serde(default)]
    approved: BTreeSet<String>,
}

impl Default for Traces {
    fn default() -> Self {
        Self { version: 1, mode: None, variables: BTreeSet::new(), approved: BTreeSet::new() }
    }
}

impl Traces {
    /// The mode that the sandbox's files are in.
    #[must_use]
    pub const fn mode(&self) -> Option<CredentialMode> {
        self.mode
    }

    /// What may be there while the files change from one state to the other; the mode is still the old one.
    fn and(&self, later: &Self) -> Self {
        Self {
            version: self.version,
            mode: self.mode,
            variables: &self.variables | &later.variables,
            approved: &self.approved | &later.approved,
        }
    }
}

/// What stands in the sandbox's configuration directory.
#[derive(Debug, Default)]
pub struct Before<'a> {
    /// `.claude.json`.
    pub claude_json: Option<&'a str>,
    /// `settings.json`.
    pub settings: Option<&'a str>,
    /// `.credentials.json`.
    pub credentials: Option<Result<&'a CredentialFile, FileError>>,
}

/// Where things are inside the sandbox.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Claude's configuration directory.
    pub configuration: &'a str,
    /// The project.
    pub workspace: &'a str,
}

/// What is to be done for a sandbox's credential.
#[derive(Debug)]
pub struct Provision {
    /// To be written first: what may be in the sandbox from now on.
    pub meanwhile: Traces,
    /// A login that was made inside and is no longer held there. To be put into a login home before anything changes.
    pub parked: Option<CredentialFile>,
    /// Whether both sides must be made the same once more before anything changes, because the copy goes away.
    pub is_last_sync_due: bool,
    /// Files that Claude Code could not read. To be moved out of the sandbox, for a person to look at.
    pub broken: Vec<OwnFile>,
    /// What to write and remove, in this order.
    pub changes: Vec<Change>,
    /// To be written last.
    pub traces: Traces,
    /// What the gateway sets on requests. It is to be told before the sandbox starts, and to forget what it was told before.
    pub injections: Vec<Injection>,
    /// Servers of an endpoint that the policy must allow although no preset names them.
    pub reach: Vec<Server>,
    /// What the person should know.
    pub warnings: Vec<String>,
}

/// What a sandbox gets, that held `traces` so far and holds `material` in `mode` from now on.
#[must_use]
pub fn provide(
    mode: CredentialMode,
    material: Option<&Material>,
    traces: &Traces,
    before: &Before<'_>,
    place: &Place<'_>,
) -> Provision {
    let wanted = Wanted::of(mode, material);
    let after = Traces {
        mode: Some(mode),
        variables: wanted.variables.keys().cloned().collect(),
        approved: wanted.approved.iter().map(|end| (*end).to_owned()).collect(),
        ..Traces::default()
    };
    let meanwhile = traces.and(&after);
    let mut broken = Vec::new();
    let mut parked = None;
    let mut changes: Vec<Change> = credentials(&wanted.login, traces.mode, before, &mut parked, &mut broken)
        .into_iter()
        .map(|contents| Change { file: OwnFile::Credentials, contents })
        .collect();
    changes.push(Change { file: OwnFile::Key, contents: wanted.key.as_ref().map(Secret::duplicate) });
    changes.push(Change { file: OwnFile::Aws, contents: wanted.aws.as_ref().map(Secret::duplicate) });
    let seeded = seed::settings(before.settings);
    if seeded.is_replacing_broken {
        broken.push(OwnFile::Settings);
    }
    let settings = settings(&seeded.contents, &wanted, &meanwhile, place);
    changes.push(Change { file: OwnFile::Settings, contents: Some(Secret::new(settings)) });
    let seeded = seed::claude_json(before.claude_json, place.workspace);
    if seeded.is_replacing_broken {
        broken.push(OwnFile::ClaudeJson);
    }
    let claude_json = approvals(&seeded.contents, &wanted, &meanwhile);
    changes.push(Change { file: OwnFile::ClaudeJson, contents: Some(Secret::new(claude_json)) });
    // What goes comes first, so that at no time more is inside than either mode allows.
    changes.sort_by_key(|change| change.contents.is_some());
    Provision {
        meanwhile,
        parked,
        is_last_sync_due: traces.mode == Some(CredentialMode::Sync) && mode != CredentialMode::Sync,
        broken,
        changes,
        traces: after,
        warnings: wanted.warnings(),
        injections: wanted.injections,
        reach: wanted.reach,
    }
}

/// What becomes of the credential file: nothing (`None`), another content, or its removal.
fn credentials(
    wanted: &WantedLogin,
    from: Option<CredentialMode>,
    before: &Before<'_>,
    parked: &mut Option<CredentialFile>,
    broken: &mut Vec<OwnFile>,
) -> Option<Option<Secret>> {
    use CredentialMode::{Isolated, Sync};
    let is_as_before = matches!((wanted, from), (WantedLogin::Own, Some(Isolated)) | (WantedLogin::Shared, Some(Sync)));
    if is_as_before {
        return None;
    }
    let existing = match &before.credentials {
        None => None,
        Some(Ok(file)) => Some(*file),
        Some(Err(_)) => {
            // It may hold a login that this mode does not allow, so it cannot stay.
            broken.push(OwnFile::Credentials);
            None
        }
    };
    let is_made_inside = from != Some(Sync) && existing.is_some_and(|file| file.view().state == LoginState::Full);
    if is_made_inside && from.is_none() && matches!(wanted, WantedLogin::Own) {
        return None;
    }
    if is_made_inside {
        *parked = existing.and_then(CredentialFile::login_only);
    }
    // What is not Claude's login was put there inside, and stays.
    let mut file =
        existing.and_then(|file| CredentialFile::parse(file.render().reveal().as_bytes()).ok()).unwrap_or_default();
    file.set_login(match wanted {
        WantedLogin::File(login) => Some(login),
        WantedLogin::None | WantedLogin::Own | WantedLogin::Shared => None,
    });
    match (file.is_empty(), before.credentials.is_some()) {
        (true, false) => None,
        (true, true) => Some(None),
        (false, _) => Some(Some(file.render())),
    }
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn text(map: Map<String, Value>) -> String {
    let mut text = format!("{:#}", Value::Object(map));
    text.push('\n');
    text
}

/// Commands in the settings that read our files.
const COMMANDS: [(&str, &str); 2] = [("apiKeyHelper", seed::KEY_FILE), ("awsCredentialExport", AWS_FILE)];

fn settings(seeded: &str, wanted: &Wanted, ours: &Traces, place: &Place<'_>) -> String {
    let mut map = object(seeded);
    for (setting, file) in COMMANDS {
        let is_ours = |value: &Value| {
            value.as_str().is_some_and(|command| command.starts_with("cat ") && command.ends_with(&format!("/{file}")))
        };
        let is_wanted = match file {
            seed::KEY_FILE => wanted.key.is_some(),
            _ => wanted.aws.is_some(),
        };
        if is_wanted {
            map.insert(setting.to_owned(), json!(format!("cat {}/{file}", place.configuration)));
        } else if map.get(setting).is_some_and(is_ours) {
            map.shift_remove(setting);
        }
    }
    let mut variables = match map.get("env") {
        Some(Value::Object(variables)) => variables.clone(),
        _ => Map::new(),
    };
    variables.retain(|name, _| !ours.variables.contains(name));
    variables.extend(wanted.variables.iter().map(|(name, value)| (name.clone(), json!(value))));
    let was_there = map.contains_key("env");
    if !variables.is_empty() {
        map.insert("env".to_owned(), Value::Object(variables));
    } else if was_there && !ours.variables.is_empty() {
        map.shift_remove("env");
    }
    text(map)
}

/// Keys about which Claude Code does not ask, known by their last twenty characters.
fn approvals(seeded: &str, wanted: &Wanted, ours: &Traces) -> String {
    const RESPONSES: &str = "customApiKeyResponses";
    let mut map = object(seeded);
    if ours.approved.is_empty() && wanted.approved.is_none() {
        return seeded.to_owned();
    }
    let list = |map: &Map<String, Value>, name: &str| -> Vec<Value> {
        let list = map.get(RESPONSES).and_then(|responses| responses.get(name)).and_then(Value::as_array);
        let is_ours = |end: &Value| end.as_str().is_some_and(|end| ours.approved.contains(end));
        list.into_iter().flatten().filter(|end| !is_ours(end)).cloned().collect()
    };
    let (mut approved, rejected) = (list(&map, "approved"), list(&map, "rejected"));
    approved.extend(wanted.approved.map(Value::from));
    if approved.is_empty() && rejected.is_empty() {
        map.shift_remove(RESPONSES);
    } else {
        map.insert(RESPONSES.to_owned(), json!({ "approved": approved, "rejected": rejected }));
    }
    text(map)
}

#[cfg(test)]
mod tests;
