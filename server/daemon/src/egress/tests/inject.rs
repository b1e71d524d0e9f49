//! Credentials that the gateway puts on requests: given, given again, kept nowhere.

use boxwood_core::credentials::Secret;
use boxwood_core::credentials::environment::Server;
use boxwood_core::credentials::provision::{Injection, STRIPPED};
use boxwood_protocol::gateway::Injection as Given;

use super::*;
use crate::error::Result;

const API: &str = "api.anthropic.com";

fn server(url: &str) -> Server {
    Server::of_url(url).expect("a URL")
}

fn key(url: &str, value: &str) -> Injection {
    Injection { server: server(url), strip: STRIPPED, set: vec![("x-api-key", Secret::new(value.to_owned()))] }
}

/// What the gateway was told last: where it puts what, and where it only removes.
fn told(world: &World) -> (Option<Vec<String>>, Vec<String>) {
    let last = world.gateway.configured().pop().expect("a policy");
    let text = |given: &Given| {
        let set: Vec<_> = given.set.iter().map(|(name, value)| format!(" {name}={}", value.reveal())).collect();
        assert_eq!(given.strip, STRIPPED);
        format!("{}:{}{}", given.host, given.port, set.concat())
    };
    (last.injections.map(|list| list.iter().map(text).collect()), last.guards.iter().map(text).collect())
}

/// The rules that are there because of credentials, with whether TLS is opened for them.
fn rules(world: &World) -> Vec<String> {
    let last = world.gateway.configured().pop().expect("a policy").policy.rules.into_iter();
    let ours = last.filter(|placed| placed.preset.as_deref() == Some("credentials"));
    ours.map(|placed| format!("{} {:?}", rule_text(&placed.rule), placed.rule.inspect == Some(true))).collect()
}

impl World {
    async fn inject(&self, injections: Vec<Injection>, reach: Vec<Server>) -> Result<()> {
        self.daemon.egress.inject(&self.daemon, SANDBOX, injections, reach).await
    }

    /// The daemon ends, and another one takes its place.
    async fn begin_anew(&mut self) {
        self.daemon.egress.get(SANDBOX).expect("an entry").token.cancel();
        self.daemon = open(&self.directory.path().canonicalize().expect("there"));
        self.connect().await;
    }

    /// Every byte that the state directory has.
    fn kept(&self) -> String {
        let mut text = String::new();
        let mut directories = vec![self.directory.path().to_path_buf()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => directories.push(path),
                    false => text += &String::from_utf8_lossy(&std::fs::read(path).expect("read")),
                }
            }
        }
        text
    }
}

#[tokio::test]
async fn credentials_reach_the_gateway_and_no_file() {
    let world = World::new(EgressConfig::default()).await;
    assert_eq!(told(&world), (None, vec![]), "nobody has said yet whether there are any");
    let reach = vec![server("https://models.example:8443/v1")];
    world.inject(vec![key("https://api.anthropic.com", "canary-1")], reach).await.expect("given");
    let set = Some(vec![format!("{API}:443 x-api-key=canary-1")]);
    assert_eq!(told(&world), (set, vec![format!("{API}:443")]));
    assert_eq!(
        rules(&world),
        [
            "api.anthropic.com:443 true",
            "models.example:8443 true",
            // Served by the same machines, maybe; so what is asked for there is looked at as well.
            "mcp-proxy.anthropic.com:443 true",
        ]
    );
    assert!(world.kept().contains(API) && !world.kept().contains("canary"));
    let known = world.gateway.configured().len();
    world
        .inject(vec![key("https://api.anthropic.com", "canary-1")], vec![server("https://models.example:8443")])
        .await
        .expect("the same");
    assert_eq!(world.gateway.configured().len(), known, "what is enforced is not told again");
    world.inject(vec![key("https://api.anthropic.com", "canary-2")], vec![]).await.expect("given");
    assert_eq!(told(&world).0, Some(vec![format!("{API}:443 x-api-key=canary-2")]));
    world.inject(vec![], vec![]).await.expect("forgotten");
    assert_eq!((told(&world), rules(&world)), ((Some(vec![]), vec![]), vec![]));
}

#[tokio::test]
async fn a_gateway_that_was_started_anew_gets_them_again() {
    let mut world = World::new(EgressConfig::default()).await;
    world.inject(vec![key("https://api.anthropic.com", "canary-1")], vec![]).await.expect("given");
    let before = told(&world);
    let known = world.gateway.configured().len();
    world.gateway.restart();
    world.next_policy(known).await;
    assert_eq!(told(&world), before);
    // The same process, started anew while the conversation goes on.
    let known = world.gateway.configured().len();
    let status = boxwood_protocol::gateway::Status { run: 77, ..Default::default() };
    world.gateway.set(|now| *now = status.clone());
    world.gateway.tell(&Tell::Ready(status));
    world.next_policy(known).await;
    assert_eq!(told(&world), before);
    // Another container in its place.
    world.gateway = FakeGateway::new();
    world.connect().await;
    assert_eq!(told(&world), before);
}

#[tokio::test]
async fn a_daemon_that_was_started_anew_keeps_the_policy_and_asks_for_no_change() {
    let mut world = World::new(EgressConfig::default()).await;
    let reach = || vec![server("http://10.0.0.7:4000")];
    world.inject(vec![key("https://api.anthropic.com", "canary-1")], reach()).await.expect("given");
    let before = world.gateway.configured().pop().expect("a policy");
    world.begin_anew().await;
    let after = world.gateway.configured().pop().expect("a policy");
    assert_eq!(after.policy, before.policy);
    // What was set there stays; a gateway that has nothing to set lets at least nothing of the agent's pass.
    assert_eq!(told(&world), (None, vec![format!("{API}:443")]));
    world.inject(vec![key("https://api.anthropic.com", "canary-2")], reach()).await.expect("given");
    assert_eq!(told(&world).0, Some(vec![format!("{API}:443 x-api-key=canary-2")]));
    assert_eq!(world.gateway.configured().pop().expect("a policy").policy, before.policy);
}

#[tokio::test]
async fn what_the_person_denies_stays_denied() {
    let world = World::new(EgressConfig::default()).await;
    let file = world.daemon.paths.user_config();
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    std::fs::write(&file, format!(r#"{{"egress": {{"deny": ["{API}"]}}}}"#)).expect("written");
    world.inject(vec![key("https://api.anthropic.com", "canary-1")], vec![]).await.expect("given");
    let policy = world.gateway.configured().pop().expect("a policy").policy;
    let compiled = boxwood_core::egress::Compiled::new(&policy).expect("a policy");
    let judged = |host: &str| {
        let host = boxwood_core::egress::Host::parse(host).expect("a host");
        let requests = boxwood_core::egress::Requests::Later;
        let judged = compiled.judge(&boxwood_core::egress::Query { host: &host, port: 443, requests, now_ms: 0 });
        (judged.action, judged.layer, judged.opens_tls)
    };
    assert_eq!(judged(API), (EgressAction::Deny, EgressLayer::UserDeny, false));
    assert_eq!(judged("mcp-proxy.anthropic.com"), (EgressAction::Allow, EgressLayer::Preset, true));
    assert_eq!(judged("claude.ai"), (EgressAction::Allow, EgressLayer::Preset, false));
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_without_itself_and_changes_nothing() {
    let world = World::new(EgressConfig::default()).await;
    world.inject(vec![key("https://api.anthropic.com", "canary-1")], vec![]).await.expect("given");
    let before = told(&world);
    for value in ["", "canary-2\r\nx: y", "canary-2\0"] {
        let problem = world.inject(vec![key("https://api.anthropic.com", value)], vec![]).await.expect_err("refused");
        assert_eq!(problem.code, ErrorCode::InvalidParams);
        assert!(!format!("{problem:?} {problem}").contains("canary"));
    }
    world.daemon.egress.reconsider(&world.daemon, &world.project()).await.expect("the same");
    assert_eq!(told(&world), before);
    // One that is not heard of now is given as soon as the gateway takes policies again.
    world.gateway.refuse(true);
    let problem = world.inject(vec![key("https://api.anthropic.com", "canary-3")], vec![]).await.expect_err("refused");
    assert_eq!(problem.code, ErrorCode::EgressGateway);
    world.gateway.refuse(false);
    world.daemon.egress.reconsider(&world.daemon, &world.project()).await.expect("taken now");
    assert_eq!(told(&world).0, Some(vec![format!("{API}:443 x-api-key=canary-3")]));
}

#[tokio::test]
async fn they_end_with_the_sandbox() {
    let mut world = World::new(EgressConfig::default()).await;
    world.inject(vec![key("https://api.anthropic.com", "canary-1")], vec![]).await.expect("given");
    world.daemon.egress.disconnect(SANDBOX);
    tokio::time::pause();
    let problem = world.inject(vec![], vec![]).await.expect_err("no gateway");
    assert_eq!(problem.code, ErrorCode::SandboxNotRunning);
    tokio::time::resume();
    world.connect().await;
    assert_eq!(told(&world), (None, vec![format!("{API}:443")]), "to be given anew with the next start");
}

#[tokio::test]
async fn a_name_that_only_the_sandbox_knows_leads_where_the_credential_is_for() {
    let name = boxwood_core::egress::ENDPOINT_NAME;
    let elsewhere = std::collections::BTreeMap::from([(name.to_owned(), "192.0.2.66".parse().expect("an address"))]);
    let mut world = World::new(EgressConfig { hosts: Some(elsewhere), ..EgressConfig::default() }).await;
    let address: std::net::IpAddr = "10.0.0.7".parse().expect("an address");
    let server = Server { address: Some(address), ..server(&format!("http://{name}:4000")) };
    world.inject(vec![Injection { server, ..key("http://unused.example", "canary-1") }], vec![]).await.expect("given");
    let leads = |world: &World| {
        let entries = world.gateway.configured().pop().expect("a policy").hosts.into_iter();
        entries.filter(|entry| entry.name == name).map(|entry| entry.address).collect::<Vec<_>>()
    };
    assert_eq!(leads(&world), [address], "whatever settings take the name for");
    let policy = world.gateway.configured().pop().expect("a policy").policy;
    let ours = policy.rules.iter().find(|placed| placed.preset.as_deref() == Some("credentials")).expect("a rule");
    assert_eq!((rule_text(&ours.rule), ours.rule.private), (format!("{name}:4000"), Some(true)));
    world.begin_anew().await;
    assert_eq!(leads(&world), [address], "also for the next daemon");
}
