//! Credentials and endpoints in the environment of a client, and the endpoints themselves.
//!
//! The variables are Claude Code's own; which of them count together was found by running Claude Code 2.1.329.

use core::net::IpAddr;
use std::collections::BTreeMap;

use boxwood_protocol::credentials::{ClientEnvironment, CredentialSource, Secret};
use boxwood_protocol::egress::{EgressAction, EgressRule};

use super::file::is_token;
use super::select::{Finding, Found, Problem};
use crate::egress::{self, ENDPOINT_NAME, EndpointError, Host, is_private};

/// Where Claude's API is when nothing else is said.
pub const API_HOST: &str = "api.anthropic.com";

/// Variables that choose models; they belong to an endpoint, whose models have names of their own.
const MODELS: [&str; 5] = [
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
];

/// A server that requests go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to by TLS.
    pub is_tls: bool,
    /// What its name leads to, where that is a name that only the sandbox knows.
    pub address: Option<IpAddr>,
}

impl Server {
    /// A server of a provider.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self { host: Host::Name(name), port: 443, is_tls: true, address: None }
    }

    /// The server in the URL of an endpoint. `None` when it is no such URL; one with a name and a password, a query or a
    /// fragment is none either, because that would carry a secret where none is expected.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        if url.contains(['@', '?', '#', '\\']) || !is_token(url) {
            return None;
        }
        let authority = rest.split('/').next()?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
            _ => (authority, if is_tls { 443 } else { 80 }),
        };
        Some(Self { host: Host::parse(host).ok()?, port, is_tls, address: None })
    }

    /// Whether it is this machine itself, which a sandbox's own loopback is not.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.is_loopback(),
        }
    }

    /// The rule by which the gateway lets requests there through and opens them, so that it can set their headers.
    #[must_use]
    pub fn rule(&self) -> EgressRule {
        let (host, address) = match &self.host {
            Host::Name(name) => (name.clone(), self.address),
            Host::Address(address) => (address.to_string(), Some(*address)),
        };
        EgressRule {
            host,
            ports: Some(vec![self.port]),
            action: EgressAction::Allow,
            methods: None,
            paths: None,
            private: address.is_some_and(is_private).then_some(true),
            inspect: Some(true),
        }
    }
}

/// Where requests go, and under which names models are known there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// URL and server, unless it is Anthropic's own.
    pub url: Option<(String, Server)>,
    /// Variables that choose models.
    pub models: BTreeMap<String, String>,
}

impl Endpoint {
    /// The server that requests go to.
    #[must_use]
    pub fn server(&self) -> Server {
        self.url.as_ref().map_or_else(|| Server::named(API_HOST.to_owned()), |(_, server)| server.clone())
    }

    /// Has it named as it is known to a sandbox behind a gateway, where only names lead anywhere.
    ///
    /// # Errors
    /// When nothing leads there; it stays as it is.
    pub fn behind_gateway(&mut self) -> Result<(), EndpointError> {
        let Some((url, server)) = &mut self.url else { return Ok(()) };
        let inside = egress::endpoint(url)?;
        if let Host::Address(address) = server.host {
            server.host = Host::Name(ENDPOINT_NAME.to_owned());
            server.address = Some(address);
            *url = inside.url;
        }
        Ok(())
    }
}

/// How an API key is presented. Claude Code sends one from `ANTHROPIC_API_KEY` as `x-api-key`, one from
/// `ANTHROPIC_AUTH_TOKEN` as `authorization`, and one of a helper as both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `x-api-key`.
    Key,
    /// `authorization: Bearer`.
    Bearer,
    /// Both.
    Both,
}

/// What a source gives: the credential itself, and what is needed to use it.
#[derive(Debug, PartialEq, Eq)]
pub enum Material {
    /// An API key or token of Claude's API, or of an endpoint that speaks like it.
    Key {
        /// The key.
        value: Secret,
        /// How it is presented.
        form: KeyForm,
        /// Where.
        endpoint: Endpoint,
    },
    /// A token of `claude setup-token`.
    SetupToken {
        /// The token.
        value: Secret,
        /// Where it is presented.
        endpoint: Endpoint,
    },
    /// The access token of a login, as a file that has nothing else.
    Login {
        /// [`super::CredentialFile::access_only`], rendered.
        access_only: Secret,
    },
    /// An API key for Amazon Bedrock.
    BedrockKey {
        /// The key.
        value: Secret,
        /// Where it is presented.
        bedrock: Bedrock,
    },
    /// Temporary AWS credentials.
    BedrockSession {
        /// Id of the key.
        id: Secret,
        /// The key that requests are signed with.
        secret: Secret,
        /// What shows that it is temporary.
        session: Secret,
        /// Where they are presented.
        bedrock: Bedrock,
    },
    /// An access token of Google's.
    Vertex {
        /// The token.
        value: Secret,
        /// Where it is presented.
        vertex: Vertex,
    },
}

impl Material {
    /// Where it is presented, unless that can only be Anthropic's own API.
    pub const fn endpoint_mut(&mut self) -> Option<&mut Endpoint> {
        match self {
            Self::Key { endpoint, .. } | Self::SetupToken { endpoint, .. } => Some(endpoint),
            Self::BedrockKey { bedrock, .. } | Self::BedrockSession { bedrock, .. } => Some(&mut bedrock.endpoint),
            Self::Vertex { vertex, .. } => Some(&mut vertex.endpoint),
            Self::Login { .. } => None,
        }
    }
}

/// Amazon Bedrock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bedrock {
    /// Region.
    pub region: String,
    /// Endpoint and models.
    pub endpoint: Endpoint,
}

/// Google Vertex AI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// Region.
    pub region: String,
    /// Project.
    pub project: String,
    /// Endpoint and models.
    pub endpoint: Endpoint,
}

/// What the environment of a client says.
#[derive(Debug, Default)]
pub struct Environment {
    /// Whether nobody is there to be asked.
    pub is_ci: bool,
    /// What was found, for [`super::select::choose`].
    pub findings: Vec<Finding>,
    /// What the sources that were found give.
    pub materials: BTreeMap<CredentialSource, Material>,
    /// The endpoint that the person's own helper for keys is for, too. Stored keys have one of their own.
    pub endpoint: Endpoint,
    /// Google Vertex AI, whose access token the daemon has to get.
    pub vertex: Option<Vertex>,
}

impl Environment {
    /// Sorts the variables that a client sent.
    #[must_use]
    pub fn read(mut variables: ClientEnvironment) -> Self {
        let mut read = Self::default();
        let plain = |name: &str| variables.0.get(name).map(|value| value.reveal().to_owned());
        let is_set = |name: &str| plain(name).is_some_and(|value| is_truth(&value));
        read.is_ci = is_set("CI");
        let models: BTreeMap<String, String> =
            MODELS.iter().filter_map(|name| Some(((*name).to_owned(), plain(name)?))).collect();
        let endpoint = |url: &str| -> Result<Endpoint, Problem> {
            let url = match plain(url) {
                None => None,
                Some(text) => Some((text.clone(), Server::of_url(&text).ok_or(Problem::NotAnEndpoint)?)),
            };
            Ok(Endpoint { url, models: models.clone() })
        };
        let (api, aws, google) = (
            endpoint("ANTHROPIC_BASE_URL"),
            endpoint("ANTHROPIC_BEDROCK_BASE_URL"),
            endpoint("ANTHROPIC_VERTEX_BASE_URL"),
        );
        let region = plain("AWS_REGION").or_else(|| plain("AWS_DEFAULT_REGION")).filter(|it| is_label(it));
        let (uses_bedrock, uses_vertex) = (is_set("CLAUDE_CODE_USE_BEDROCK"), is_set("CLAUDE_CODE_USE_VERTEX"));
        let (location, project) = (plain("CLOUD_ML_REGION"), plain("ANTHROPIC_VERTEX_PROJECT_ID"));
        let mut take = |name: &str| variables.0.remove(name);
        if uses_bedrock {
            let bedrock = aws
                .and_then(|endpoint| Ok(Bedrock { region: region.ok_or(Problem::Missing("AWS_REGION"))?, endpoint }));
            read.bedrock(bedrock, &mut take);
        } else if uses_vertex {
            let vertex = google.and_then(|endpoint| {
                let region = location.filter(|it| is_label(it)).ok_or(Problem::Missing("CLOUD_ML_REGION"))?;
                let project = project.filter(|it| it.split([':', '.']).all(is_label));
                Ok(Vertex {
                    region,
                    project: project.ok_or(Problem::Missing("ANTHROPIC_VERTEX_PROJECT_ID"))?,
                    endpoint,
                })
            });
            match vertex {
                // Whether a token can be had is found out by the daemon, which adds the finding.
                Ok(vertex) => read.vertex = Some(vertex),
                Err(problem) => read.found(CredentialSource::Vertex, Found::Unusable(problem)),
            }
        }
        for (source, name, form) in [
            (CredentialSource::EnvironmentToken, "ANTHROPIC_AUTH_TOKEN", Some(KeyForm::Bearer)),
            (CredentialSource::EnvironmentKey, "ANTHROPIC_API_KEY", Some(KeyForm::Key)),
            (CredentialSource::EnvironmentLogin, "CLAUDE_CODE_OAUTH_TOKEN", None),
        ] {
            let Some(value) = take(name) else { continue };
            let material = usable(value).and_then(|value| {
                let endpoint = api.clone()?;
                Ok(match form {
                    Some(form) => Material::Key { value, form, endpoint },
                    None => Material::SetupToken { value, endpoint },
                })
            });
            read.add(source, material);
        }
        read.endpoint = api.unwrap_or_default();
        read
    }

    fn bedrock(&mut self, bedrock: Result<Bedrock, Problem>, take: &mut dyn FnMut(&str) -> Option<Secret>) {
        let key = take("AWS_BEARER_TOKEN_BEDROCK");
        let pair = take("AWS_ACCESS_KEY_ID").zip(take("AWS_SECRET_ACCESS_KEY"));
        let session = take("AWS_SESSION_TOKEN");
        if let Some(value) = key {
            let material = bedrock.and_then(|bedrock| Ok(Material::BedrockKey { value: usable(value)?, bedrock }));
            return self.add(CredentialSource::BedrockKey, material);
        }
        let Some((id, secret)) = pair else {
            return self.found(CredentialSource::BedrockSession, Found::Unusable(Problem::NoAwsCredentials));
        };
        let material = bedrock.and_then(|bedrock| {
            let session = usable(session.ok_or(Problem::LongLived)?)?;
            Ok(Material::BedrockSession { id: usable(id)?, secret: usable(secret)?, session, bedrock })
        });
        self.add(CredentialSource::BedrockSession, material);
    }

    /// Adds what a source gives, or why it gives nothing.
    pub fn add(&mut self, source: CredentialSource, material: Result<Material, Problem>) {
        match material {
            Ok(material) => {
                self.materials.insert(source, material);
                self.found(source, Found::Usable);
            }
            Err(problem) => self.found(source, Found::Unusable(problem)),
        }
    }

    fn found(&mut self, source: CredentialSource, found: Found) {
        self.findings.push(Finding { source, found });
    }
}

/// A value that can stand in a header, without the white space around it that copying leaves.
///
/// # Errors
/// When it cannot.
pub fn usable(value: Secret) -> Result<Secret, Problem> {
    let text = value.reveal().trim();
    if text.is_empty() || !is_token(text) {
        return Err(Problem::NotAToken);
    }
    Ok(if text.len() == value.reveal().len() { value } else { Secret::new(text.to_owned()) })
}

/// Whether a variable that is a switch is on, as Claude Code reads it.
fn is_truth(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

/// Whether a text can be a part of a host's name, as regions and projects become one.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests;
