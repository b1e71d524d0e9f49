//! What the daemon and a sandbox's gateway say to each other: JSON-RPC 2.0, one message a line, on the gateway's
//! standard input and output. Only the daemon asks; the gateway tells.
//!
//! A line is at most [`MAX_LINE_BYTES`] long. The gateway refuses every connection until it has a policy, and keeps
//! the last one when nobody talks to it any more.

use serde::{Deserialize, Serialize};

use crate::credentials::Secret;
use crate::egress::{EgressAction, EgressAsk, EgressDecision, EgressPolicy};

/// Longest message, bytes.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// The name that a gateway answers with its own main address, whatever the policy says, even before there is one. Asking
/// for it is no decision and is not logged: by it, sandboxes are checked from inside.
pub const OWN_NAME: &str = "gateway.boxwood.internal";

/// A request to the gateway. The answer is [`Answer`] with the same id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "camelCase")]
pub enum Ask {
    /// Enforce this from now on. Flows that it no longer allows are cut; others go on. Answers [`Status`].
    Configure(Box<Configure>),
    /// Answers [`Status`].
    Status(Nothing),
    /// Lets the connections that wait under an id go on, or refuses them. Answers [`Status`].
    Decide(Decide),
}

/// No parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// What to enforce.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configure {
    /// Grows with every policy of a sandbox.
    pub revision: u64,
    /// The policy.
    pub policy: EgressPolicy,
    /// The authority that this sandbox trusts, for hosts whose TLS is opened; without it these hosts are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
    /// Authorities that the gateway itself trusts beside the public ones: PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<String>,
    /// Addresses of names that are not to be looked up, for tests and for hosts of this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostEntry>,
    /// Credentials to put on requests. `None`: those that the gateway has, because a daemon that has just started does not
    /// know them yet. An empty list: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injections: Option<Vec<Injection>>,
    /// Servers whose requests are watched over also while there is nothing to set on them: each counts where the gateway
    /// has no injection for it. So what the agent sends is removed even when nobody knows the credential for now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Injection>,
}

impl Configure {
    /// A policy, with nothing beside it.
    #[must_use]
    pub const fn new(revision: u64, policy: EgressPolicy) -> Self {
        Self {
            revision,
            policy,
            authority: None,
            trusted: None,
            hosts: Vec::new(),
            injections: None,
            guards: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Configure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Configure").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// What becomes of the headers of every request to one server.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Injection {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to by TLS. What is set then goes into TLS only.
    pub tls: bool,
    /// Headers to remove, whoever set them, in trailers as well.
    pub strip: Vec<String>,
    /// Headers to set, whatever was there before.
    pub set: Vec<(String, Secret)>,
}

impl Injection {
    /// The same server and the same headers to remove, with nothing to set.
    #[must_use]
    pub fn guard(host: String, port: u16, tls: bool, strip: &[&str]) -> Self {
        Self { host, port, tls, strip: strip.iter().map(|name| (*name).to_owned()).collect(), set: Vec::new() }
    }
}

/// A message is kept until it was answered and may have to be sent again, so it is copied on purpose; each copy overwrites
/// its values when it goes.
impl Clone for Injection {
    fn clone(&self) -> Self {
        Self {
            host: self.host.clone(),
            port: self.port,
            tls: self.tls,
            strip: self.strip.clone(),
            set: self.set.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect(),
        }
    }
}

impl std::fmt::Debug for Injection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.set.iter().map(|(name, _)| name.as_str()).collect();
        let server = (&self.host, self.port, self.tls);
        formatter.debug_struct("Injection").field("server", &server).field("set", &names).finish_non_exhaustive()
    }
}

/// A certificate authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Certificate, PEM.
    pub certificate: String,
    /// Private key, PKCS#8 PEM.
    pub key: String,
}

/// A name with a fixed address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostEntry {
    /// Name.
    pub name: String,
    /// Address.
    pub address: std::net::IpAddr,
}

/// An answer for connections that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decide {
    /// Id of the question.
    pub ask: String,
    /// `allow` or `deny`.
    pub action: EgressAction,
}

/// How the gateway is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Number of this run, so that a restart is noticed.
    pub run: u64,
    /// Revision of the policy; 0 when there is none yet.
    pub revision: u64,
    /// Connections open now.
    pub open: u32,
    /// Connections and requests that the policy let through: what all decisions that allow stand for together.
    pub allowed: u64,
    /// What was refused: what all decisions that deny stand for together. Connections, requests, and questions for names,
    /// because nothing follows one that is refused; the same name again within a second is the same question. What was let
    /// through and then cut, or led where it may not, is in both counts.
    pub blocked: u64,
    /// How often each rule decided, also about questions for names that it refused: indexes into the policy's rules, with
    /// counts.
    pub hits: Vec<(usize, u64)>,
    /// What waits for an answer.
    pub asks: Vec<EgressAsk>,
    /// The last decisions, at most 256, the newest last.
    pub recent: Vec<EgressDecision>,
}

/// What the gateway tells without being asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "camelCase")]
pub enum Tell {
    /// It runs and has no policy yet, or someone attached again.
    Ready(Status),
    /// Something was decided. The same again within a second only raises the count of the next; of a question for a name
    /// not even that. Told again under the same number when connections that it let pass have ended: then with the bytes
    /// they moved, in place of the one before.
    Decided(EgressDecision),
    /// A connection waits, or one more, or until later.
    Asking(EgressAsk),
    /// None waits under this id any more.
    Asked {
        /// Id of the question.
        id: String,
    },
    /// A server answered 401 to a request on which credentials of ours are set, or would be if they were known. The same may
    /// be told again.
    Refused {
        /// The server's name or address.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// A request with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// Chosen by the daemon.
    pub id: u64,
    /// The request.
    #[serde(flatten)]
    pub ask: Ask,
}

/// An answer with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// The request's.
    pub id: u64,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Status>,
    /// When it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// JSON-RPC's number.
    pub code: i32,
    /// Plain words.
    pub message: String,
}

/// A notification with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// What is told.
    #[serde(flatten)]
    pub tell: Tell,
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#""revision":7,"policy":{"rules":[],"default":"deny","holdSeconds":1,"connections":1,"connectionsPerSecond":1,"uploadBytes":0,"uploadBytesPerSecond":0,"bypassUntilMs":0}"#;

    fn configure(rest: &str) -> Configure {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"configure","params":{{{POLICY}{rest}}}}}"#);
        let request: Request = serde_json::from_str(&text).expect("a request");
        // What is written is what was read.
        let again: Request = serde_json::from_str(&serde_json::to_string(&request).expect("JSON")).expect("the same");
        assert_eq!(again, request);
        let Ask::Configure(configure) = request.ask else { panic!("a policy") };
        *configure
    }

    #[test]
    fn to_keep_credentials_and_to_forget_them_are_two_things() {
        assert_eq!(configure("").injections, None);
        assert_eq!(configure(r#","injections":[]"#).injections, Some(Vec::new()));
        assert_eq!(configure("").guards, []);
    }

    #[test]
    fn credentials_are_carried_and_shown_nowhere() {
        let one = r#"{"host":"api.example","port":443,"tls":true,"strip":["cookie"],"set":[["x-api-key","canary\n"]]}"#;
        let whole = configure(&format!(r#","injections":[{one}],"guards":[{one}]"#));
        let injections = whole.injections.clone().expect("credentials");
        let (name, value) = &injections[0].set[0];
        assert_eq!((name.as_str(), value.reveal()), ("x-api-key", "canary\n"));
        assert!(whole == whole.clone());
        let other = Configure {
            injections: Some(vec![Injection { set: Vec::new(), ..injections[0].clone() }]),
            ..whole.clone()
        };
        assert!(whole != other, "a value makes a difference");
        let shown = format!("{whole:?} {injections:?} {:?}", Ask::Configure(Box::new(whole.clone())));
        assert!(!shown.contains("canary") && shown.contains("x-api-key"), "{shown}");
    }

    #[test]
    fn a_guard_sets_nothing() {
        let guard = Injection::guard("api.example".to_owned(), 443, true, &["cookie", "x-api-key"]);
        assert_eq!((guard.strip.len(), guard.set.len()), (2, 0));
    }
}
