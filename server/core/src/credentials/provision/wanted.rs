//! What each mode wants to stand in a sandbox, and what its gateway sets on requests.

use std::collections::BTreeMap;

use boxwood_protocol::credentials::{CredentialMode, Secret};
use serde_json::json;

use crate::credentials::environment::{Bedrock, Endpoint, KeyForm, Material, Server, Vertex};
use crate::credentials::file::CredentialFile;

/// Name of the file, in the configuration directory, that holds temporary AWS credentials.
pub const AWS_FILE: &str = ".boxwood-aws.json";

/// What stands where an API key would. It has a key's form, and everybody can read here that it opens nothing.
pub const PLACEHOLDER_KEY: &str =
    "sk-ant-api03-boxwood-placeholder-this-is-not-a-key-the-gateway-puts-the-real-one-on-requests-0000000000000AA";
/// What stands where a token of `claude setup-token` would.
pub const PLACEHOLDER_LOGIN: &str =
    "sk-ant-oat01-boxwood-placeholder-this-is-not-a-token-the-gateway-puts-the-real-one-on-requests-00000000000AA";
/// What stands where any other token would.
pub const PLACEHOLDER_TOKEN: &str = "boxwood-placeholder-this-is-not-a-token-the-gateway-puts-the-real-one-on-requests";

/// Headers that carry credentials to one of the APIs. The gateway removes every one of them, however often it occurs, so
/// that an agent can neither use a credential of its own nor carry data out to an account of its own.
pub const STRIPPED: &[&str] = &[
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
    "x-goog-api-key",
    "x-goog-user-project",
];

/// What the gateway does with requests to a server. It opens TLS for it by [`Server::rule`].
#[derive(Debug, PartialEq, Eq)]
pub struct Injection {
    /// The server; requests to any other stay as they are.
    pub server: Server,
    /// Headers to remove, whoever set them.
    pub strip: &'static [&'static str],
    /// Headers to set.
    pub set: Vec<(&'static str, Secret)>,
}

/// What stands in the credential file of a sandbox.
#[derive(Debug)]
pub(super) enum WantedLogin {
    /// No login.
    None,
    /// The sandbox's own.
    Own,
    /// What [`crate::credentials::sync`] decides.
    Shared,
    /// This one.
    File(CredentialFile),
}

/// What a mode wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) login: WantedLogin,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) approved: Option<&'static str>,
    pub(super) key: Option<Secret>,
    pub(super) aws: Option<Secret>,
    pub(super) injections: Vec<Injection>,
    pub(super) reach: Vec<Server>,
}

fn ending(placeholder: &'static str) -> &'static str {
    &placeholder[placeholder.len() - 20..]
}

impl Wanted {
    fn nothing(login: WantedLogin) -> Self {
        Self {
            login,
            variables: BTreeMap::new(),
            approved: None,
            key: None,
            aws: None,
            injections: Vec::new(),
            reach: Vec::new(),
        }
    }

    /// What `mode` wants of `material`. A pair that no source offers wants nothing.
    pub(super) fn of(mode: CredentialMode, material: Option<&Material>) -> Self {
        match mode {
            CredentialMode::Isolated => Self::nothing(WantedLogin::Own),
            CredentialMode::Sync => Self::nothing(WantedLogin::Shared),
            CredentialMode::Token => material.map_or_else(|| Self::nothing(WantedLogin::None), Self::token),
            CredentialMode::Brokered => material.map_or_else(|| Self::nothing(WantedLogin::None), Self::brokered),
        }
    }

    fn token(material: &Material) -> Self {
        let mut wanted = Self::nothing(WantedLogin::None);
        match material {
            Material::Key { value, endpoint, .. } => {
                wanted.key = Some(value.duplicate());
                wanted.endpoint("ANTHROPIC_BASE_URL", endpoint);
            }
            Material::SetupToken { value, endpoint } => {
                wanted.login = WantedLogin::File(CredentialFile::of_setup_token(value));
                wanted.endpoint("ANTHROPIC_BASE_URL", endpoint);
            }
            Material::Login { access_only } => {
                // Projected again: whatever was handed in, only an access token goes on.
                let file = CredentialFile::parse(access_only.reveal().as_bytes()).ok();
                wanted.login = file.and_then(|file| file.access_only()).map_or(WantedLogin::None, WantedLogin::File);
            }
            Material::BedrockSession { id, secret, session, bedrock } => {
                wanted.bedrock(bedrock);
                let exported = json!({ "Credentials": {
                    "AccessKeyId": id.reveal(), "SecretAccessKey": secret.reveal(), "SessionToken": session.reveal(),
                }});
                wanted.aws = Some(Secret::new(exported.to_string()));
            }
            Material::BedrockKey { .. } | Material::Vertex { .. } => {}
        }
        wanted
    }

    fn brokered(material: &Material) -> Self {
        let mut wanted = Self::nothing(WantedLogin::None);
        match material {
            Material::Key { value, form, endpoint } => {
                let (variable, placeholder) = match form {
                    KeyForm::Key => ("ANTHROPIC_API_KEY", PLACEHOLDER_KEY),
                    KeyForm::Bearer | KeyForm::Both => ("ANTHROPIC_AUTH_TOKEN", PLACEHOLDER_TOKEN),
                };
                wanted.variable(variable, placeholder);
                wanted.approved = (*form == KeyForm::Key).then(|| ending(PLACEHOLDER_KEY));
                wanted.endpoint("ANTHROPIC_BASE_URL", endpoint);
                let mut set = Vec::new();
                if *form != KeyForm::Bearer {
                    set.push(("x-api-key", value.duplicate()));
                }
                if *form != KeyForm::Key {
                    set.push(bearer(value));
                }
                wanted.inject(endpoint.server(), set);
            }
            Material::SetupToken { value, endpoint } => {
                let placeholder = Secret::new(PLACEHOLDER_LOGIN.to_owned());
                wanted.login = WantedLogin::File(CredentialFile::of_setup_token(&placeholder));
                wanted.endpoint("ANTHROPIC_BASE_URL", endpoint);
                wanted.inject(endpoint.server(), vec![bearer(value)]);
            }
            Material::BedrockKey { value, bedrock } => {
                wanted.bedrock(bedrock);
                wanted.variable("AWS_BEARER_TOKEN_BEDROCK", PLACEHOLDER_TOKEN);
                for server in bedrock_servers(bedrock) {
                    wanted.inject(server, vec![bearer(value)]);
                }
            }
            Material::Vertex { value, vertex } => {
                wanted.variable("CLAUDE_CODE_USE_VERTEX", "1");
                wanted.variable("CLAUDE_CODE_SKIP_VERTEX_AUTH", "1");
                wanted.variable("CLOUD_ML_REGION", &vertex.region);
                wanted.variable("ANTHROPIC_VERTEX_PROJECT_ID", &vertex.project);
                wanted.endpoint("ANTHROPIC_VERTEX_BASE_URL", &vertex.endpoint);
                wanted.inject(vertex_server(vertex), vec![bearer(value)]);
            }
            Material::Login { .. } | Material::BedrockSession { .. } => {}
        }
        wanted
    }

    fn variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    fn endpoint(&mut self, variable: &str, endpoint: &Endpoint) {
        if let Some((url, server)) = &endpoint.url {
            self.variable(variable, url);
            self.reach.push(server.clone());
        }
        self.variables.extend(endpoint.models.clone());
    }

    fn bedrock(&mut self, bedrock: &Bedrock) {
        self.variable("CLAUDE_CODE_USE_BEDROCK", "1");
        self.variable("AWS_REGION", &bedrock.region);
        self.endpoint("ANTHROPIC_BEDROCK_BASE_URL", &bedrock.endpoint);
        if bedrock.endpoint.url.is_none() {
            self.reach.extend(bedrock_servers(bedrock));
        }
    }

    fn inject(&mut self, server: Server, set: Vec<(&'static str, Secret)>) {
        self.injections.push(Injection { server, strip: STRIPPED, set });
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for server in &self.reach {
            if server.is_loopback() {
                warnings.push(
                    "the base URL points at this machine's loopback, which a sandbox cannot reach; give an address of \
                     the machine instead"
                        .to_owned(),
                );
            } else if !server.is_tls {
                warnings.push("the base URL is not encrypted: whoever is on the way to it can read the key".to_owned());
            }
        }
        warnings
    }
}

fn bearer(value: &Secret) -> (&'static str, Secret) {
    ("authorization", Secret::new(format!("Bearer {}", value.reveal())))
}

/// The servers of Bedrock that Claude Code asks: the one that runs models, and the one that lists them.
fn bedrock_servers(bedrock: &Bedrock) -> Vec<Server> {
    if let Some((_, server)) = &bedrock.endpoint.url {
        return vec![server.clone()];
    }
    let region = &bedrock.region;
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    // In government regions, Claude Code asks the endpoint with validated cryptography.
    let fips = region.starts_with("us-gov-").then_some("bedrock-runtime-fips");
    let services = ["bedrock-runtime", "bedrock"].into_iter().chain(fips);
    services.map(|service| Server::named(format!("{service}.{region}.{domain}"))).collect()
}

fn vertex_server(vertex: &Vertex) -> Server {
    if let Some((_, server)) = &vertex.endpoint.url {
        return server.clone();
    }
    Server::named(match vertex.region.as_str() {
        "global" => "aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("aiplatform.{}.rep.googleapis.com", vertex.region),
        region => format!("{region}-aiplatform.googleapis.com"),
    })
}
