//! Which login home a sandbox has, and that a login gets there and leaves it whole.

use std::sync::Arc;

use boxwood_core::plan;
use boxwood_engine::EngineError;
use boxwood_protocol::config::Network;
use boxwood_protocol::operation::OutcomeKind;
use boxwood_protocol::{ErrorCode, RpcError};
use serde_json::{Value, json};

use super::adopt::{adopt, move_login};
use super::*;
use crate::lifecycle::tests::{Saboteur, World};
#[cfg(unix)]
use crate::provisioning::copies::make_same;
#[cfg(unix)]
use crate::provisioning::origin::Origin;
use crate::provisioning::wish::Chosen;

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BOB: &str = "22222222-2222-4222-8222-222222222222";
const HOUR: i64 = 60 * 60 * 1000;

fn login(token: &str, account: &str, hours: i64) -> Value {
    json!({ "claudeAiOauth": { "accessToken": format!("access-{token}"), "refreshToken": format!("refresh-{token}"),
        "expiresAt": sys_now() + hours * HOUR, "scopes": ["user:inference"], "accountUuid": account } })
}

fn sys_now() -> i64 {
    crate::sys::now_ms()
}

fn put(home: &Path, file: &Value) {
    fs::create_dir_all(home.join(".claude")).expect("made");
    fs::write(home.join(".claude").join(LOGIN), file.to_string()).expect("written");
}

fn file(home: &Path) -> Value {
    let text = fs::read_to_string(home.join(".claude").join(LOGIN)).unwrap_or_else(|_| "null".to_owned());
    serde_json::from_str(&text).expect("whole")
}

fn token(home: &Path) -> Option<String> {
    file(home)["claudeAiOauth"]["refreshToken"].as_str().map(str::to_owned)
}

#[test]
fn a_login_that_moves_is_in_one_place_and_never_comes_back() {
    let mcp = json!({ "mcpOAuth": { "there": 1 } });
    let mut both = login("own", ADA, 1);
    both["mcpOAuth"] = json!({ "own": 1 });
    let others = login("other", BOB, 1);
    let renewed = login("renewed", ADA, 8);
    for (there, own, expected) in [
        (None, &both, "refresh-own"),
        (Some(&mcp), &both, "refresh-own"),
        (Some(&others), &both, "refresh-own"),
        (Some(&renewed), &both, "refresh-renewed"),
    ] {
        for writes in 0.. {
            let root = tempfile::tempdir().expect("a directory");
            let (from, logins) = (root.path().join("home"), root.path().join("logins"));
            let to = logins.join("default");
            put(&from, own);
            fs::create_dir_all(&to).expect("made");
            if let Some(there) = there {
                put(&to, there);
            }
            let moved = |mut writes: usize| {
                let (from, to) =
                    (ClaudeDirectory::open(&from).expect("open"), ClaudeDirectory::open(&to).expect("open"));
                move_login(&from, &to, &logins, "default", &mut || {
                    writes = writes.checked_sub(1).ok_or_else(|| RpcError::new(ErrorCode::Internal, "killed"))?;
                    Ok(())
                })
            };
            let is_whole = moved(writes).is_ok();
            let found = [token(&from), token(&to)];
            let case = format!("{expected} over {there:?}, killed at {writes}: {found:?}");
            let is_here = |wanted: &str| found.iter().flatten().filter(|token| *token == wanted).count();
            assert_eq!(is_here(expected), 1, "{case}");
            moved(usize::MAX).expect("moved");
            assert_eq!((token(&from), token(&to).as_deref()), (None, Some(expected)), "{case}");
            if there == Some(&mcp) {
                assert_eq!(file(&to)["mcpOAuth"], mcp["mcpOAuth"], "{case}");
            }
            if there == Some(&others) {
                let kept = fs::read_to_string(logins.join(".replaced-default").join(LOGIN)).expect("kept");
                assert!(kept.contains("refresh-other"), "{case}");
            }
            if is_whole {
                break;
            }
        }
    }
}

fn daemon(root: &Path) -> Arc<Daemon> {
    let state = root.to_string_lossy().into_owned();
    let paths = boxwood_core::paths::Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| state.clone()), 0);
    let none = || Err(EngineError::Endpoint { endpoint: "none".to_owned(), reason: "there is none".to_owned() });
    Daemon::open(paths, &|name| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned()), Box::new(none)).expect("opened")
}

#[tokio::test]
async fn a_login_of_an_older_sandbox_becomes_the_persons_or_stays_its_own() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let home = |sandbox: &str| daemon.records.home(sandbox);
    let at = |name: &str| daemon.sources.logins().join(name);
    put(&home("first"), &login("first", ADA, 1));
    put(&home("second"), &login("second", BOB, 1));
    assert_eq!((name(&daemon, "first"), name(&daemon, "second")), ("default".to_owned(), "default".to_owned()));
    adopt(&daemon, "first").await.expect("adopted");
    assert_eq!((token(&home("first")), token(&at("default")).as_deref()), (None, Some("refresh-first")));
    assert_eq!((name(&daemon, "first"), name(&daemon, "second")), ("default".to_owned(), "second".to_owned()));
    adopt(&daemon, "second").await.expect("adopted");
    assert_eq!((token(&home("second")), token(&at("second")).as_deref()), (None, Some("refresh-second")));
    assert_eq!(name(&daemon, "second"), "second");
    assert_eq!(token(&at("default")).as_deref(), Some("refresh-first"));
    // What an agent puts there in another mode is nobody's login.
    put(&home("third"), &login("planted", BOB, 1));
    let traces = json!({ "version": 1, "mode": "brokered" });
    fs::write(daemon.paths.sandbox("third").join("credentials.json"), traces.to_string()).expect("written");
    adopt(&daemon, "third").await.expect("nothing to do");
    assert_eq!(token(&home("third")).as_deref(), Some("refresh-planted"));
}

#[tokio::test]
async fn a_sandbox_changes_to_no_other_login_in_silence() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let at = |name: &str| daemon.sources.logins().join(name);
    let blank = json!({ "claudeAiOauth": { "accessToken": "", "refreshToken": "", "expiresAt": 0 } });
    for (own, expected) in [
        (json!({}), "default"),
        (json!({ "mcpOAuth": {} }), "default"),
        (login("x", BOB, 1), "sandbox"),
        (blank, "sandbox"),
        (json!("broken"), "sandbox"),
    ] {
        put(&at("sandbox"), &own);
        assert_eq!(name(&daemon, "sandbox"), expected, "{own}");
    }
    fs::write(at("sandbox").join(".claude").join(LOGIN), "").expect("written");
    assert_eq!(name(&daemon, "sandbox"), "default");
}

#[tokio::test]
async fn signing_out_ends_every_login_and_leaves_what_else_there_is() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let at = |name: &str| daemon.sources.logins().join(name);
    let mut with_more = login("default", ADA, 1);
    with_more["mcpOAuth"] = json!({ "a": 1 });
    put(&at("default"), &with_more);
    put(&at("sandbox"), &login("sandbox", ADA, 1));
    put(&at(".replaced-default"), &login("replaced", ADA, 1));
    put(&at(".ready-sandbox"), &login("ready", ADA, 1));
    put(&daemon.records.home("older"), &login("older", ADA, 1));
    fs::create_dir_all(at("broken").join(".claude")).expect("made");
    fs::write(at("broken").join(".claude").join(LOGIN), "{\"refreshToken\": \"refresh-broken").expect("written");
    #[cfg(unix)]
    {
        put(&daemon.paths.state.join("outside"), &login("outside", ADA, 1));
        fs::create_dir_all(at("link").join(".claude")).expect("made");
        let outside = daemon.paths.state.join("outside/.claude").join(LOGIN);
        std::os::unix::fs::symlink(outside, at("link").join(".claude").join(LOGIN)).expect("linked");
    }
    forget_all(&daemon).await.expect("forgotten");
    assert_eq!(file(&at("default")), json!({ "mcpOAuth": { "a": 1 } }));
    for gone in [at("sandbox"), at("broken"), at("link"), daemon.records.home("older")] {
        assert_eq!(file(&gone), Value::Null, "{}", gone.display());
    }
    assert!(!at(".replaced-default").exists() && !at(".ready-sandbox").exists());
    #[cfg(unix)]
    assert!(token(&daemon.paths.state.join("outside")).is_some(), "what a link leads to is none of its business");
    forget_all(&daemon).await.expect("forgotten twice");
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_link_in_a_login_home_leads_to_goes_into_no_copy() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let home = daemon.sources.logins().join("default");
    // A sandbox that has the login home mounted can put a link there to what only the host has.
    put(&daemon.paths.state.join("outside"), &login("outside", ADA, 1));
    fs::create_dir_all(home.join(".claude")).expect("made");
    let outside = daemon.paths.state.join("outside/.claude").join(LOGIN);
    std::os::unix::fs::symlink(outside, home.join(".claude").join(LOGIN)).expect("linked");
    fs::create_dir_all(daemon.records.home("copy")).expect("made");
    drop(make_same(&daemon, "copy", &Origin::Home("default".to_owned()), None).await);
    assert_eq!(file(&daemon.records.home("copy")), Value::Null);
    // What the sandbox has takes the place of the link, and nothing goes through it.
    put(&daemon.records.home("copy"), &login("copy", ADA, 2));
    drop(make_same(&daemon, "copy", &Origin::Home("default".to_owned()), None).await.expect("decided"));
    assert_eq!(token(&daemon.paths.state.join("outside")).as_deref(), Some("refresh-outside"));
}

#[tokio::test(start_paused = true)]
async fn who_holds_one_login_keeps_no_other_from_being_ended() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let at = |name: &str| daemon.sources.logins().join(name);
    for name in ["a", "b", "c"] {
        put(&at(name), &login(name, ADA, 1));
    }
    fs::create_dir(at("b/.claude/.storage-write.lock")).expect("held");
    let refused = forget_all(&daemon).await.expect_err("one is held");
    assert!(refused.message.contains(".storage-write.lock"), "{refused}");
    assert_eq!(["a", "b", "c"].map(|name| token(&at(name)).is_some()), [false, true, false]);
}

impl World {
    async fn plays(&self, steps: Vec<plan::Step>) {
        let end = self.play(steps, Network::Open, Saboteur::default()).await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
        self.quiet().await;
    }

    async fn has(&self) -> (Option<String>, bool) {
        let known = self.daemon.registry.get(&self.identity().id).expect("it is there");
        (mounted(&known.detail.mounts), is_outdated(&self.daemon, &known, None).await)
    }

    fn choose(&self, mode: Option<CredentialMode>) {
        let id = self.identity().id;
        let mut record = self.daemon.records.get(&id).expect("a record");
        record.chosen = Some(Chosen { source: None, mode });
        self.daemon.records.put(&id, record).expect("kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_login_home_is_mounted_where_the_login_is_held_inside_and_nowhere_else() {
    let world = World::new().await;
    let at = |name: &str| world.daemon.sources.logins().join(name);
    world.plays(plan::create(false)).await;
    let is_default = || (Some("default".to_owned()), false);
    assert_eq!(world.has().await, is_default(), "also before anybody has signed in");
    assert!(at("default").join(".claude").is_dir());
    put(&at("default"), &login("default", ADA, 1));
    assert_eq!(world.has().await, is_default());

    world.choose(Some(CredentialMode::Token));
    assert_eq!(world.has().await, (Some("default".to_owned()), true));
    world.plays(plan::recreate(false, false)).await;
    assert_eq!(world.has().await, (None, false));
    let inside = world.daemon.records.home(&world.identity().id);
    assert_eq!(file(&inside)["claudeAiOauth"]["accessToken"], "access-default");
    assert_eq!(token(&inside), None);

    world.choose(None);
    assert_eq!(world.has().await, (None, true));
    world.plays(plan::recreate(false, false)).await;
    assert_eq!(world.has().await, is_default());
    assert_eq!(file(&inside), Value::Null, "nothing stays of the other mode");

    put(&at(&world.identity().id), &login("own", BOB, 1));
    assert_eq!(world.has().await, (Some("default".to_owned()), true), "it has one of its own now");
    world.plays(plan::recreate(false, false)).await;
    assert_eq!(world.has().await, (Some(world.identity().id), false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_without_a_login_home_keeps_its_login_until_it_is_replaced() {
    let world = World::new().await;
    let id = world.identity().id;
    put(&world.daemon.sources.logins().join("default"), &login("default", ADA, 1));
    world.plays(plan::create(false)).await;
    world.choose(Some(CredentialMode::Token));
    world.plays(plan::recreate(false, false)).await;
    // As before there were login homes: it holds its own login and has none mounted.
    fs::remove_dir_all(world.daemon.sources.logins()).expect("removed");
    world.choose(None);
    world.plays(plan::restart(false)).await;
    let home = world.daemon.records.home(&id);
    put(&home, &login("own", BOB, 1));
    assert_eq!(world.has().await, (None, true));
    world.plays(plan::restart(false)).await;
    assert_eq!(token(&home).as_deref(), Some("refresh-own"), "it still needs it there");
    world.plays(plan::recreate(false, false)).await;
    assert_eq!(world.has().await, (Some("default".to_owned()), false));
    assert_eq!(
        (token(&home), token(&world.daemon.sources.logins().join("default")).as_deref()),
        (None, Some("refresh-own"))
    );
}
