//! A world whose sandboxes reach the imitation of what claude signs in to by their gateways, under the real names and by
//! TLS, as they would reach the real one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use boxwood_protocol::SUBSCRIBE_METHOD;
use boxwood_protocol::contract::{LoginCode, StartLogin, Wait};
use boxwood_protocol::credentials::{CredentialsStatus, Secret};
use boxwood_protocol::login::{LoginAsk, LoginCodeParams, LoginStartParams};
use boxwood_protocol::operation::{OperationParams, OutcomeKind};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::{Value, json};

use crate::identity::Identity;
use crate::internet::{Internet, Machine, PLAIN, gateways_of};
use crate::rpc::Rpc;
use crate::{Cli, Finished, World};

/// The realm; it ends with this. What is named first ends first.
pub struct Realm {
    /// The world.
    pub world: World,
    /// The imitation.
    pub identity: Identity,
    _machine: Machine,
    internet: Internet,
    record: PathBuf,
    connected: RefCell<BTreeSet<String>>,
}

impl Default for Realm {
    fn default() -> Self {
        Self::new()
    }
}

impl Realm {
    /// A realm whose daemon was not started yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| Vec::new())
    }

    /// The same; `arrange` says which other names there are, and at which port of the host they are answered without TLS.
    ///
    /// # Panics
    /// When the certificates cannot be written.
    #[must_use]
    pub fn with(arrange: impl FnOnce(&mut World) -> Vec<(&'static str, u16)>) -> Self {
        let mut world = World::new();
        let further = arrange(&mut world);
        let internet = Internet::new();
        let (certificate, record) = (world.root().join("identity.pem"), world.root().join("identity.jsonl"));
        let identity = Identity::start(&internet.host().to_string(), &certificate, Some(&record));
        let ours = identity.hosts.iter().map(|name| (name.as_str(), identity.plain.clone()));
        let others = further.iter().map(|(name, port)| (*name, format!("{}:{port}", internet.host())));
        let served: Vec<(&str, String)> = ours.chain(others).collect();
        let forward: Value = served.iter().map(|(name, to)| ((*name).to_owned(), json!({ "forward": to }))).collect();
        let machine = internet.machine(PLAIN, json!({ "https": [443], "hosts": forward }));
        let hosts: Value = served.iter().map(|(name, _)| ((*name).to_owned(), json!(machine.address))).collect();
        let mut trusted = fs::read_to_string(&certificate).expect("a certificate");
        trusted.push_str(&internet.certificate);
        let authorities = world.root().join("authorities.pem");
        fs::write(&authorities, trusted).expect("written");
        world.set("NODE_EXTRA_CA_CERTS", authorities);
        world.configure(&json!({
            "network": "gateway",
            "egress": { "hosts": hosts, "default": "deny" },
            // For sign-ins, which have no gateway.
            "env": { "HTTPS_PROXY": identity.proxy },
        }));
        Self { world, identity, _machine: machine, internet, record, connected: RefCell::default() }
    }

    /// Starts the project's sandbox and leads its gateway here.
    #[track_caller]
    pub fn start(&self) -> SandboxInfo {
        self.start_with(&[])
    }

    /// The same with further arguments.
    #[track_caller]
    pub fn start_with(&self, further: &[&str]) -> SandboxInfo {
        // A sandbox has its gateway in the place of the proxy.
        let started = self.world.start_with([&["--env", "HTTPS_PROXY="], further].concat());
        self.connect();
        started.sandbox
    }

    /// Leads gateways here that are new.
    pub fn connect(&self) {
        let mut connected = self.connected.borrow_mut();
        for gateway in gateways_of(&self.world) {
            if connected.insert(gateway.clone()) {
                self.internet.connect(&gateway);
            }
        }
    }

    /// Has the claude of a session answer, to be run yet. The project's own session has no name.
    #[must_use]
    pub fn asking(&self, session: &str, question: &str) -> Cli {
        let of_session = ["--session", session];
        let of_session = if session.is_empty() { &[][..] } else { &of_session[..] };
        let command = ["exec", "--", "claude", "-p", question];
        self.world.boxwood([&command[..1], of_session, &command[1..]].concat())
    }

    /// The claude of the project's sandbox answers.
    ///
    /// # Panics
    /// When it does not; says what was asked of the imitation, and what the gateway let through.
    #[track_caller]
    pub fn works(&self, session: &str, word: &str) {
        let done = self.asking(session, &format!("say {word}")).run();
        if done.status != 0 || done.out().trim() != word {
            let log = self.world.boxwood(["egress", "log"]).run().out();
            panic!("{}\n{:#?}\n{log}", done.told("gave no answer"), self.seen());
        }
    }

    /// The claude of the project's sandbox is refused.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn is_refused(&self, session: &str) -> Finished {
        let done = self.asking(session, "say must-not-be-answered").run();
        assert_ne!(done.status, 0, "{}\n{:#?}", done.told("was answered"), self.seen());
        done
    }

    /// What reached the imitation so far, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.record).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The credentials on each question to the model: kind and state.
    #[must_use]
    pub fn presented(&self) -> Vec<Vec<(String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = |request: &Value| {
            let all = request["auth"].as_array().cloned().unwrap_or_default();
            all.iter().map(|one| (text(&one["kind"]), text(&one["state"]))).collect()
        };
        self.requests().iter().filter(|request| request["endpoint"] == "messages").map(of).collect()
    }

    /// The record in short.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        let short = |request: &Value| {
            let auth: Vec<String> = request["auth"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| format!("{}: {}", one["kind"], one["state"]))
                .collect();
            format!("{} {} {}", request["endpoint"], request["status"], auth.join(", "))
        };
        self.requests().iter().map(short).collect()
    }

    /// How the credentials of the project's sandbox are.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> CredentialsStatus {
        let done = self.world.boxwood(["credentials", "status", "--json"]).run();
        serde_json::from_slice(&done.stdout).unwrap_or_else(|cause| panic!("{}: {cause}", done.told("gave no status")))
    }

    /// Keeps a key or a token, as a person does.
    #[track_caller]
    pub fn keep(&self, kind: &str, value: &str) {
        let _ = self.world.boxwood(["credentials", "set", kind, "--json"]).input(value).run().ok();
    }

    /// Chooses a mode, having read what it means; of new sandboxes when there is none yet.
    #[track_caller]
    pub fn choose(&self, mode: &str, source: &str) {
        let words = ["credentials", "mode", mode, "--source", source, "--yes", "--json"];
        let _ = self.world.boxwood(words).run().ok();
    }

    /// Puts a login where the person's own Claude Code keeps it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn sign_in_host(&self, login: &Value) {
        store(&self.world.home().join(".claude"), login);
    }

    /// Signs in as the person: the real claude in a container, and a code that is copied.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn sign_in(&self) {
        let mut rpc = Rpc::open(&self.world);
        let started = rpc.call::<StartLogin>(&LoginStartParams { replace: true, ..LoginStartParams::default() });
        let operation_id = started.expect("it begins").operation_id;
        let code = self.identity.sign_in(&self.address_of(&operation_id));
        let params = LoginCodeParams { operation_id: operation_id.clone(), code: Secret::new(code) };
        let _ = rpc.call::<LoginCode>(&params).expect("it is wanted");
        let end = rpc.call::<Wait>(&OperationParams { operation_id }).expect("it ends");
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    }

    /// Waits until a sign-in wants its code, and gives the address where a person gets it.
    #[must_use]
    pub fn address_of(&self, operation_id: &str) -> String {
        crate::until("the question for the code", || self.address_now(operation_id))
    }

    /// The address where a person gets the code that a sign-in wants, if it wants one now.
    #[must_use]
    pub fn address_now(&self, operation_id: &str) -> Option<String> {
        address_asked(&self.world, operation_id)
    }

    /// The login in a sandbox.
    #[must_use]
    pub fn login_in(&self, sandbox: &SandboxInfo) -> Value {
        stored(&self.world.home_of(sandbox).join(".claude"))
    }
}

/// The login that a configuration directory has; null when there is none.
#[must_use]
pub fn stored(configuration: &std::path::Path) -> Value {
    let text = fs::read_to_string(configuration.join(".credentials.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&text).map(|mut file| file["claudeAiOauth"].take()).unwrap_or_default()
}

/// Puts a login into a configuration directory, whole, as claude does.
fn store(configuration: &std::path::Path, login: &Value) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::create_dir_all(configuration).expect("a directory");
    let new = configuration.join(".credentials.json.new");
    fs::write(&new, json!({ "claudeAiOauth": login }).to_string()).expect("written");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("restricted");
    fs::rename(new, configuration.join(".credentials.json")).expect("renamed");
}

/// The address where a person gets the code that a sign-in wants, if it wants one now.
#[must_use]
pub fn address_asked(world: &World, operation_id: &str) -> Option<String> {
    let mut rpc = Rpc::try_open(world)?;
    // What was asked before stands in the beginning of a subscription.
    let _ = rpc.ask(SUBSCRIBE_METHOD, &json!({}))?;
    let event = rpc.receive()?["params"]["result"].take();
    let asks: Vec<LoginAsk> = serde_json::from_value(event["logins"][operation_id].clone()).ok()?;
    let url = asks.iter().find_map(|ask| match ask {
        LoginAsk::Url { url } => Some(url.clone()),
        _ => None,
    });
    url.filter(|_| asks.contains(&LoginAsk::WantsCode))
}
