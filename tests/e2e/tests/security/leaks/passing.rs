//! Containers that are there for a moment only: the one in which somebody signs in, and the one in which a login is renewed.
//! Each is held still while it knows a secret, and searched with everything around it.

use std::process::Command;

use boxwood_e2e::docker::{containers_of, docker, inspect};
use boxwood_e2e::identity_realm::Realm;
use boxwood_e2e::leaks::{Canary, Hunt};
use boxwood_e2e::leaks_places::{
    Watch, look_at_container, look_at_mounts, look_at_processes, look_at_world, look_everywhere, look_inside, name,
};
use boxwood_e2e::rpc::Rpc;
use boxwood_e2e::until;
use boxwood_protocol::contract::{LoginCode, StartLogin, Wait};
use boxwood_protocol::credentials::Secret;
use boxwood_protocol::login::{LoginCodeParams, LoginStartParams};
use boxwood_protocol::operation::{OperationParams, OutcomeKind};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::json;

/// Stands in every secret that is given out while it is the mark, so that they can be looked for before they are there.
const MARK: &str = "canaryOfWhatIsGivenOutMeanwhile0123456789";
/// Where the login is that everybody shares.
const LOGIN: &str = "state:/state/logins/default/.claude/.credentials.json";
/// The same as the container has it.
const IN_THE_CONTAINER: &str = "seen inside/home/boxwood/.claude/.credentials.json";

/// A realm that says all it can.
fn realm() -> Realm {
    Realm::with(|world| {
        world.set("BOXWOOD_LOG", "trace");
        Vec::new()
    })
}

/// The only container of a role.
fn container_of(realm: &Realm, role: &str) -> String {
    let filter = realm.world.filter().expect("there is a daemon");
    until("a container", || containers_of(role, &filter).pop())
}

fn marked(realm: &Realm) -> Canary {
    let _ = realm.identity.ask("settings", &json!({ "mark": MARK }));
    Canary::new("given out", MARK)
}

/// The processes of a container, stopped for as long as this lives: who waits for an answer there would give up after ten
/// seconds, and a search takes longer on a busy machine. Claude Code signs in also when it gave up asking whose a login is.
struct Stopped(String);

impl Stopped {
    fn stop(container: &str) -> Self {
        let pids = docker(["top", container, "-eo", "pid"]);
        let numbers = pids.split_whitespace().filter(|word| word.parse::<u32>().is_ok());
        let stopped = Self(numbers.collect::<Vec<_>>().join(" "));
        assert!(stopped.signal("STOP"), "{container} cannot be stopped: {pids}");
        stopped
    }

    fn signal(&self, name: &str) -> bool {
        let line = format!("kill -{name} {}", self.0);
        Command::new("sh").args(["-c", &line]).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // One that is gone needs no going on.
        let _ = self.signal("CONT");
    }
}

/// Searches a container and what is around it.
fn searched(realm: &Realm, canaries: &[Canary], container: &str, sandboxes: &[&SandboxInfo]) -> Hunt {
    let mut hunt = Hunt::new(canaries);
    name(&mut hunt, sandboxes);
    look_inside(&mut hunt, container);
    look_at_mounts(&mut hunt, container);
    look_at_processes(&mut hunt);
    look_at_container(&mut hunt, container);
    look_at_world(&mut hunt, &realm.world);
    assert!(inspect(container).is_some_and(|detail| detail["State"]["Running"] == true), "it did not wait");
    hunt
}

#[test]
fn a_container_in_which_somebody_signs_in_shows_nothing_of_it() {
    let realm = realm();
    let _ = realm.world.list();
    let mark = marked(&realm);
    let mut rpc = Rpc::open(&realm.world);
    let begun = rpc.call::<StartLogin>(&LoginStartParams::default()).expect("it begins");
    let operation_id = begun.operation_id;
    let code = realm.identity.sign_in(&realm.address_of(&operation_id));
    let canaries = [mark, Canary::new("code", code.clone())];
    let watch = Watch::begin(&canaries);
    // It has its tokens by then, and asks whose they are.
    let _ = realm.identity.ask("fault", &json!({ "on": ["profile", "roles"], "kind": "stall" }));
    let params = LoginCodeParams { operation_id: operation_id.clone(), code: Secret::new(code) };
    let _ = rpc.call::<LoginCode>(&params).expect("it is wanted");
    let _ = realm.identity.ask("await", &json!({ "counter": "requests.profile", "seconds": 60 }));
    assert_eq!(realm.identity.count("exchanges"), 1);
    let container = container_of(&realm, "login");
    let stopped = Stopped::stop(&container);
    let during = searched(&realm, &canaries, &container, &[]);
    let _ = realm.identity.ask("clear", &json!({}));
    drop(stopped);
    let end = rpc.call::<Wait>(&OperationParams { operation_id }).expect("it ends");
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    let (ended, events) = watch.end();
    let mut after = Hunt::new(&canaries);
    look_everywhere(&mut after, &realm.world, &[]);
    after.add(ended);
    after.look("log:events", events);
    during.judge("while somebody signs in", &[]);
    after.judge("when somebody has signed in", &[("given out", LOGIN)]);
}

#[test]
fn a_container_in_which_a_login_is_renewed_shows_nothing_of_it() {
    let realm = realm();
    let _ = realm.world.list();
    let mark = marked(&realm);
    // It is to be renewed while a sandbox holds its token, and soon.
    let _ = realm.identity.ask("settings", &json!({ "accessSeconds": 40 }));
    realm.sign_in();
    let _ = realm.identity.ask("settings", &json!({ "accessSeconds": 8 * 3600 }));
    let canaries = [mark];
    let watch = Watch::begin(&canaries);
    realm.choose("token", "login-home");
    let before = realm.identity.count("requests.refresh");
    let _ = realm.identity.ask("fault", &json!({ "on": "refresh", "times": 1, "kind": "stall" }));
    let sandbox = realm.start();
    let renewing = json!({ "counter": "requests.refresh", "atLeast": before + 1, "seconds": 100 });
    let _ = realm.identity.ask("await", &renewing);
    // Claude Code waits half a minute for a new token; when it was stopped for longer, it gives up as it goes on.
    let during = searched(&realm, &canaries, &container_of(&realm, "renewal"), &[&sandbox]);
    let _ = realm.identity.ask("clear", &json!({}));
    let filter = realm.world.filter().expect("there is a daemon");
    until("the end of the renewal", || containers_of("renewal", &filter).is_empty().then_some(()));
    assert_eq!(realm.identity.count("refreshes"), 1);
    let (ended, events) = watch.end();
    let mut after = Hunt::new(&canaries);
    look_everywhere(&mut after, &realm.world, &[&sandbox]);
    look_at_mounts(&mut after, &sandbox.container);
    after.add(ended);
    after.look("log:events", events);
    let held = "state:/state/sandboxes/ID/home/.claude/.credentials.json";
    let table = [("given out", LOGIN), ("given out", held), ("given out", IN_THE_CONTAINER)];
    during.judge("while a login is renewed", &table);
    after.judge("when a login was renewed", &table);
}
