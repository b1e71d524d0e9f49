//! Which source and which mode a sandbox gets, and what the person is told about the others.
//!
//! What the person chose comes first. Then the first source that has something decides, even when it cannot be used: taking
//! the next one in silence would be taking another account.

use boxwood_protocol::credentials::{
    CredentialMode, CredentialModeReport, CredentialSource, CredentialSourceReport, CredentialUse,
};

use super::source::{self, SOURCES, Source, When};

/// What was found at a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The source.
    pub source: CredentialSource,
    /// What was found there.
    pub found: Found,
}

/// What was found at a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Something that can be used.
    Usable,
    /// Something that cannot be used.
    Unusable(Problem),
}

/// Why what was found cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The keyring or Keychain is locked, or the person refused.
    Locked,
    /// The keyring that has it does not answer any more.
    Away,
    /// A file or an entry is there and cannot be read.
    Unreadable,
    /// The login has ended or was refused.
    Ended,
    /// It holds characters that no token has.
    NotAToken,
    /// A URL is none, or carries a password.
    NotAnEndpoint,
    /// A variable is missing or has an impossible value.
    Missing(&'static str),
    /// AWS credentials without end.
    LongLived,
    /// No AWS credentials in the environment.
    NoAwsCredentials,
    /// A command that prints the credential failed.
    CommandFailed,
}

impl Problem {
    /// Whether it may be gone the next time somebody looks, without anybody choosing anew.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Locked | Self::Away | Self::Unreadable | Self::CommandFailed)
    }

    /// What is wrong, in plain words.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Locked => "it is locked".to_owned(),
            Self::Away => "the keyring that it is kept in does not answer".to_owned(),
            Self::Unreadable => "it cannot be read".to_owned(),
            Self::Ended => "the login has ended".to_owned(),
            Self::NotAToken => "its value has characters that no key has".to_owned(),
            Self::NotAnEndpoint => "its base URL is not one, or has a password or a query in it".to_owned(),
            Self::Missing(name) => format!("{name} is missing or has an impossible value"),
            Self::LongLived => {
                "these AWS credentials never end, and whatever runs in a sandbox could keep them".to_owned()
            }
            Self::NoAwsCredentials => "there are no AWS credentials in the environment".to_owned(),
            Self::CommandFailed => "the command that prints it failed".to_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next_step(self) -> String {
        match self {
            Self::Locked => "unlock the keyring and try again".to_owned(),
            Self::Away => "sign in at this machine, so that the keyring answers, or give the credential again".to_owned(),
            Self::Unreadable => "look at the file's permissions and content; 'boxwood doctor' names it".to_owned(),
            Self::Ended => "sign in again with 'boxwood login'".to_owned(),
            Self::NotAToken => "copy the value again, without line breaks".to_owned(),
            Self::NotAnEndpoint => {
                "write the URL as https://HOST[:PORT][/PATH], and give the key in ANTHROPIC_AUTH_TOKEN".to_owned()
            }
            Self::Missing(name) => format!("set {name}"),
            Self::LongLived | Self::NoAwsCredentials => {
                "run 'aws configure export-credentials --format env' with a role or a single sign-on profile, or use an \
                 API key for Bedrock in AWS_BEARER_TOKEN_BEDROCK"
                    .to_owned()
            }
            Self::CommandFailed => "run the command yourself and look at what it says".to_owned(),
        }
    }
}

/// What the person chose, and whether they read what it means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// The source.
    pub source: Option<CredentialSource>,
    /// The mode.
    pub mode: Option<CredentialMode>,
    /// Whether the explanation was read.
    pub consent: bool,
}

/// Why a sandbox gets no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No source has anything. The person can still sign in inside.
    Nothing {
        /// Whether nobody is there to sign in.
        is_ci: bool,
    },
    /// The chosen source has nothing.
    ChosenEmpty(CredentialSource),
    /// The source has something that cannot be used.
    Unusable(CredentialSource, Problem),
    /// The source cannot serve the mode.
    NotServed(CredentialSource, CredentialMode),
    /// The mode needs a gateway and the sandbox has none.
    NeedsGateway(CredentialSource),
    /// The choice has an explanation that was not read.
    NeedsConsent(CredentialSource, CredentialMode, &'static str),
    /// The source is used only by choice, in a mode that has to be named.
    NeedsMode(CredentialSource),
}

fn title(source: CredentialSource) -> &'static str {
    source::of(source).map_or("this source", |entry| entry.title)
}

impl Refusal {
    /// Whether it is news to the person: where there is nothing at all, they can still sign in inside.
    #[must_use]
    pub const fn is_worth_saying(self) -> bool {
        !matches!(self, Self::Nothing { .. })
    }

    /// What is wrong, in plain words.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Nothing { .. } => "there is no login and no key".to_owned(),
            Self::ChosenEmpty(source) => format!("{} was chosen and is not there", title(source)),
            Self::Unusable(source, problem) => format!("{} cannot be used: {}", title(source), problem.reason()),
            Self::NotServed(source, mode) => format!("{} cannot be held as '{}'", title(source), mode.as_str()),
            Self::NeedsGateway(source) => {
                format!("{} is put on requests by a sandbox's gateway, and this one has none", title(source))
            }
            Self::NeedsConsent(source, mode, _) => {
                format!("holding {} as '{}' is for you to decide", title(source), mode.as_str())
            }
            Self::NeedsMode(source) => format!("how {} is to be held is for you to decide", title(source)),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next_step(self) -> String {
        match self {
            Self::Nothing { is_ci: true } => {
                "set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN from 'claude setup-token'".to_owned()
            }
            Self::Nothing { is_ci: false } => "sign in with 'boxwood login', or inside with /login".to_owned(),
            Self::ChosenEmpty(_) => {
                "sign in there, or choose another source with 'boxwood credentials mode'".to_owned()
            }
            Self::Unusable(_, problem) => problem.next_step(),
            Self::NotServed(source, _) | Self::NeedsMode(source) => {
                let services = source::of(source).map_or(&[][..], |entry| entry.services);
                let modes: Vec<&str> = services.iter().map(|service| service.mode.as_str()).collect();
                format!("choose one of {}", modes.join(", "))
            }
            Self::NeedsGateway(source) => {
                let has_token = source::of(source).is_some_and(|entry| entry.service(CredentialMode::Token).is_some());
                let other = if has_token { ", or choose 'token'" } else { "" };
                format!("give the sandbox one with \"network\": \"gateway\"{other}")
            }
            Self::NeedsConsent(_, _, explanation) => explanation.to_owned(),
        }
    }
}

/// What a sandbox gets, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The source and the mode, or why there are none.
    pub outcome: Result<(CredentialSource, CredentialMode), Refusal>,
    /// Every source, in the order in which they are asked, with the reason.
    pub sources: Vec<CredentialSourceReport>,
    /// The modes that the source in question can serve.
    pub modes: Vec<CredentialModeReport>,
    /// What the person should know although it works.
    pub warnings: Vec<String>,
}

impl Choice {
    /// The mode that the sandbox's files are to be in. With no credential that is the one in which a person can sign in
    /// inside and stays so.
    #[must_use]
    pub fn mode(&self) -> CredentialMode {
        self.outcome.map_or(CredentialMode::Isolated, |(_, mode)| mode)
    }
}

/// Chooses, for a sandbox with or without a gateway.
#[must_use]
pub fn choose(findings: &[Finding], wish: &Wish, has_gateway: bool, is_ci: bool) -> Choice {
    let found = |source| findings.iter().find(|it| it.source == source).map(|it| it.found);
    let first = SOURCES.iter().find(|entry| !entry.is_by_choice && found(entry.source).is_some());
    let asked = wish.source.and_then(source::of).or(first);
    let outcome = match asked {
        None => Err(Refusal::Nothing { is_ci }),
        Some(entry) => match found(entry.source) {
            None => Err(Refusal::ChosenEmpty(entry.source)),
            Some(Found::Unusable(problem)) => Err(Refusal::Unusable(entry.source, problem)),
            Some(Found::Usable) => mode(entry, wish, has_gateway).map(|mode| (entry.source, mode)),
        },
    };
    let mut warnings = Vec::new();
    if let (Ok((source, CredentialMode::Token)), None, false) = (outcome, wish.mode, has_gateway)
        && asked.is_some_and(|entry| entry.services.iter().any(|service| service.when == When::WithoutGateway))
    {
        warnings.push(format!(
            "{} is inside the sandbox, where whatever runs can take it; with \"network\": \"gateway\" it stays outside",
            title(source)
        ));
    }
    Choice {
        outcome,
        sources: SOURCES.iter().map(|entry| report(entry, found(entry.source), asked, wish)).collect(),
        modes: asked.map_or_else(Vec::new, |entry| modes(entry, has_gateway)),
        warnings,
    }
}

fn mode(entry: &Source, wish: &Wish, has_gateway: bool) -> Result<CredentialMode, Refusal> {
    let Some(mode) = wish.mode else {
        let default = entry.default_mode(has_gateway);
        return default.ok_or(if entry.is_by_choice {
            Refusal::NeedsMode(entry.source)
        } else {
            Refusal::NeedsGateway(entry.source)
        });
    };
    let service = entry.service(mode).ok_or(Refusal::NotServed(entry.source, mode))?;
    if mode == CredentialMode::Brokered && !has_gateway {
        return Err(Refusal::NeedsGateway(entry.source));
    }
    match service.when {
        When::Explained(text) if !wish.consent => Err(Refusal::NeedsConsent(entry.source, mode, text)),
        _ => Ok(mode),
    }
}

fn report(entry: &Source, found: Option<Found>, asked: Option<&Source>, wish: &Wish) -> CredentialSourceReport {
    let is_asked = asked.is_some_and(|asked| asked.source == entry.source);
    let (usage, reason) = match (found, asked) {
        (None, _) if is_asked => (CredentialUse::Absent, "you chose it, and it is not there".to_owned()),
        (None, _) => (CredentialUse::Absent, format!("not there: {}", entry.offers)),
        (Some(Found::Unusable(problem)), _) => (CredentialUse::Unusable, problem.reason()),
        (Some(Found::Usable), _) if is_asked => {
            let why = if wish.source.is_some() { "you chose it" } else { "the first that is there" };
            (CredentialUse::Chosen, why.to_owned())
        }
        (Some(Found::Usable), _) if entry.is_by_choice => {
            (CredentialUse::ByChoice, "there, and used only when you choose it".to_owned())
        }
        (Some(Found::Usable), asked) => {
            let by = asked.map_or("another one", |asked| asked.title);
            let why = if wish.source.is_some() { "is what you chose" } else { "comes first" };
            (CredentialUse::Available, format!("there; {by} {why}"))
        }
    };
    CredentialSourceReport { source: entry.source, title: entry.title.to_owned(), usage, reason }
}

fn modes(entry: &Source, has_gateway: bool) -> Vec<CredentialModeReport> {
    let default = entry.default_mode(has_gateway);
    let report = |service: &source::Service| CredentialModeReport {
        mode: service.mode,
        holds: source::holds(service.mode).to_owned(),
        is_default: default == Some(service.mode),
        is_available: has_gateway || service.mode != CredentialMode::Brokered,
        explanation: match service.when {
            When::Explained(text) => Some(text.to_owned()),
            When::Default | When::WithoutGateway | When::Chosen => None,
        },
    };
    entry.services.iter().map(report).collect()
}

#[cfg(test)]
mod tests;
