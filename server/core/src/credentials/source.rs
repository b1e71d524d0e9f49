//! Where credentials come from, declared once: what each source offers, in which order they are asked, which modes each can
//! serve, and what the person is told about a choice.

use boxwood_protocol::credentials::{CredentialMode, CredentialSource};

use CredentialMode::{Brokered, Isolated, Sync, Token};

/// When a source is held in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// When nothing else is chosen.
    Default,
    /// When nothing else is chosen and the sandbox has no gateway, which the default would need.
    WithoutGateway,
    /// When the person chooses it.
    Chosen,
    /// When the person chooses it, having read what it means.
    Explained(&'static str),
}

/// A mode that a source can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// The mode.
    pub mode: CredentialMode,
    /// When it is that.
    pub when: When,
}

/// A source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Which.
    pub source: CredentialSource,
    /// Its name for a person.
    pub title: &'static str,
    /// What it gives.
    pub offers: &'static str,
    /// Whether it is used only when the person chooses it.
    pub is_by_choice: bool,
    /// Whether Boxwood keeps it, and so can forget it.
    pub is_kept: bool,
    /// The modes it can serve, the default first.
    pub services: &'static [Service],
}

const fn service(mode: CredentialMode, when: When) -> Service {
    Service { mode, when }
}

/// Keys may be put on requests by the gateway; without one, only a key that is inside can be used.
const OF_KEY: &[Service] = &[service(Brokered, When::Default), service(Token, When::WithoutGateway)];

const OF_SETUP_TOKEN: &[Service] = &[
    service(Token, When::Default),
    service(
        Brokered,
        When::Explained(
            "The token of your subscription stays outside the sandbox: its gateway keeps it in memory and puts it on \
             Claude Code's requests to Anthropic's API. Sign-in stays Claude Code's own. Use it for yourself only: a \
             subscription is not for products that pass requests on for others.",
        ),
    ),
];

const SYNC: When = When::Explained(
    "The sandbox gets a copy of the whole login, with what renews it, and what either side renews goes to the other. \
     Whatever runs in the sandbox can take the login with it, and if both sides renew at the same moment, you may \
     have to sign in again on both.",
);

/// Every source, in the order in which they are asked. It follows Claude Code's own order, so that a sandbox uses the
/// account that Claude Code on this machine would: a provider, a token, a key, a helper, a token of `setup-token`, a login.
pub const SOURCES: &[Source] = &[
    Source {
        source: CredentialSource::BedrockKey,
        title: "Amazon Bedrock API key (environment)",
        offers: "CLAUDE_CODE_USE_BEDROCK with AWS_BEARER_TOKEN_BEDROCK",
        is_by_choice: false,
        is_kept: false,
        // Without a gateway it would have to stand in the settings, where every process inside finds it.
        services: &[service(Brokered, When::Default)],
    },
    Source {
        source: CredentialSource::BedrockSession,
        title: "Amazon Bedrock with temporary AWS credentials (environment)",
        offers: "CLAUDE_CODE_USE_BEDROCK with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
        is_by_choice: false,
        is_kept: false,
        // Requests are signed over their content by whoever makes them, so a gateway cannot put these on.
        services: &[service(Token, When::Default)],
    },
    Source {
        source: CredentialSource::Vertex,
        title: "Google Vertex AI (this machine's Google login)",
        offers: "CLAUDE_CODE_USE_VERTEX with CLOUD_ML_REGION and ANTHROPIC_VERTEX_PROJECT_ID",
        is_by_choice: false,
        is_kept: false,
        // Claude Code takes no bare access token for it, and what makes them must not be inside.
        services: &[service(Brokered, When::Default)],
    },
    Source {
        source: CredentialSource::EnvironmentToken,
        title: "token in the environment",
        offers: "ANTHROPIC_AUTH_TOKEN, with ANTHROPIC_BASE_URL for an endpoint of another provider",
        is_by_choice: false,
        is_kept: false,
        services: OF_KEY,
    },
    Source {
        source: CredentialSource::EnvironmentKey,
        title: "API key in the environment",
        offers: "ANTHROPIC_API_KEY, with ANTHROPIC_BASE_URL for an endpoint of another provider",
        is_by_choice: false,
        is_kept: false,
        services: OF_KEY,
    },
    Source {
        source: CredentialSource::KeyHelper,
        title: "your apiKeyHelper",
        offers: "what the command in your own Claude Code settings prints; it runs on this machine",
        is_by_choice: false,
        is_kept: false,
        services: OF_KEY,
    },
    Source {
        source: CredentialSource::EnvironmentLogin,
        title: "subscription token in the environment",
        offers: "CLAUDE_CODE_OAUTH_TOKEN, as 'claude setup-token' gives it",
        is_by_choice: false,
        is_kept: false,
        services: OF_SETUP_TOKEN,
    },
    Source {
        source: CredentialSource::StoredKey,
        title: "stored API key",
        offers: "an API key that you gave to Boxwood",
        is_by_choice: false,
        is_kept: true,
        services: OF_KEY,
    },
    Source {
        source: CredentialSource::StoredLogin,
        title: "stored subscription token",
        offers: "a token of 'claude setup-token' that works for a year",
        is_by_choice: false,
        is_kept: true,
        services: OF_SETUP_TOKEN,
    },
    Source {
        source: CredentialSource::LoginHome,
        title: "login made with Boxwood",
        offers: "a subscription, signed in by Claude Code itself in a directory kept for it",
        is_by_choice: false,
        is_kept: true,
        services: &[service(Isolated, When::Default), service(Token, When::Chosen), service(Sync, SYNC)],
    },
    Source {
        source: CredentialSource::HostLogin,
        title: "login of Claude Code on this machine",
        offers: "the subscription that Claude Code on this machine is signed in to",
        is_by_choice: true,
        is_kept: false,
        services: &[
            service(
                Token,
                When::Explained(
                    "The sandbox gets the access token that Claude Code on this machine uses now, renewed every few hours, \
                     and never what renews it. Whatever runs in the sandbox can use your subscription until the \
                     token ends. Nothing on this machine changes.",
                ),
            ),
            service(Sync, SYNC),
        ],
    },
];

/// The declaration of a source.
#[must_use]
pub fn of(source: CredentialSource) -> Option<&'static Source> {
    SOURCES.iter().find(|entry| entry.source == source)
}

impl Source {
    /// How it serves a mode, when it can.
    #[must_use]
    pub fn service(&self, mode: CredentialMode) -> Option<&'static Service> {
        self.services.iter().find(|service| service.mode == mode)
    }

    /// The mode when nothing is chosen. A source that is used only by choice has none.
    #[must_use]
    pub fn default_mode(&self, has_gateway: bool) -> Option<CredentialMode> {
        let of = |when: When| self.services.iter().find(|service| service.when == when).map(|service| service.mode);
        match of(When::Default) {
            Some(mode) if has_gateway || mode != CredentialMode::Brokered => Some(mode),
            _ => of(When::WithoutGateway).filter(|_| !has_gateway),
        }
    }
}

/// What a sandbox holds in a mode, in plain words.
#[must_use]
pub const fn holds(mode: CredentialMode) -> &'static str {
    match mode {
        Brokered => "a placeholder; its gateway puts the real credential on requests to the API",
        Isolated => "a login that Claude Code renews inside; isolated sandboxes share it",
        Token => "what requests need, and nothing that renews it",
        Sync => "a copy of the login",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_source_stands_there_once_in_its_order() {
        let sources: BTreeSet<CredentialSource> = SOURCES.iter().map(|entry| entry.source).collect();
        assert_eq!((sources.len(), SOURCES.len()), (11, 11));
        let order: Vec<CredentialSource> = SOURCES.iter().map(|entry| entry.source).collect();
        assert!(order.is_sorted(), "the order of the wire's names is the order of asking");
        for entry in SOURCES {
            assert_eq!(of(entry.source), Some(entry));
            let defaults = entry.services.iter().filter(|service| service.when == When::Default).count();
            assert_eq!(defaults, usize::from(!entry.is_by_choice), "{}", entry.title);
            let modes: BTreeSet<CredentialMode> = entry.services.iter().map(|service| service.mode).collect();
            assert_eq!(modes.len(), entry.services.len(), "{}", entry.title);
        }
    }

    #[test]
    fn the_defaults_are_those_that_give_a_sandbox_least() {
        let check = |source: CredentialSource, with: Option<CredentialMode>, without: Option<CredentialMode>| {
            let entry = of(source).expect("a source");
            assert_eq!((entry.default_mode(true), entry.default_mode(false)), (with, without), "{source:?}");
        };
        check(CredentialSource::BedrockKey, Some(Brokered), None);
        check(CredentialSource::BedrockSession, Some(Token), Some(Token));
        check(CredentialSource::Vertex, Some(Brokered), None);
        check(CredentialSource::EnvironmentToken, Some(Brokered), Some(Token));
        check(CredentialSource::EnvironmentKey, Some(Brokered), Some(Token));
        check(CredentialSource::KeyHelper, Some(Brokered), Some(Token));
        check(CredentialSource::EnvironmentLogin, Some(Token), Some(Token));
        check(CredentialSource::StoredKey, Some(Brokered), Some(Token));
        check(CredentialSource::StoredLogin, Some(Token), Some(Token));
        check(CredentialSource::LoginHome, Some(Isolated), Some(Isolated));
        check(CredentialSource::HostLogin, None, None);
    }

    #[test]
    fn sharing_a_login_always_has_an_explanation() {
        for entry in SOURCES {
            for service in entry.services {
                let is_shared = service.mode == Sync
                    || entry.source == CredentialSource::HostLogin
                    || (service.mode == Brokered && entry.services == OF_SETUP_TOKEN);
                assert_eq!(matches!(service.when, When::Explained(_)), is_shared, "{} {service:?}", entry.title);
            }
        }
    }
}
