//! What others do to running sandboxes: to their files, their networks, the engine; and what is done about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use boxwood_core::plan;
use boxwood_engine::NetworkSpec;
use boxwood_protocol::config::Network;
use boxwood_protocol::operation::OutcomeKind;
use boxwood_protocol::params::EnsureParams;
use boxwood_protocol::sandbox::{Enforcement, SandboxInfo, SandboxState};
use boxwood_testkit::docker::Execution;

use crate::lifecycle::ensure;
use crate::lifecycle::gateway_tests::{running, state, until};
use crate::lifecycle::tests::{Saboteur, World};

const LEAK: &str = r#"{"closed":false,"open":true,"checks":[
    {"name":"public","mustFail":true,"ok":false,"detail":"1.1.1.1:443 can be connected to"}]}"#;

fn info(world: &World) -> SandboxInfo {
    world.daemon.registry.list().remove(0)
}

fn is_well(info: &SandboxInfo) -> bool {
    info.state == SandboxState::Running && info.enforcement == Enforcement::Outside && info.alarm.is_none()
}

/// From now on looks from inside find a leak while the flag is raised.
fn leaking(world: &World) -> Arc<AtomicBool> {
    let leaks = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&leaks);
    world.engine.on_exec(move |command| {
        let is_look = command.get(1).is_some_and(|word| word == "reach");
        (is_look && flag.load(Ordering::SeqCst)).then(|| Execution::prints(LEAK))
    });
    leaks
}

/// Puts the sandbox on a network that it must not be on.
async fn put_elsewhere(world: &World, sandbox: &str) {
    let (engine, _) = world.daemon.link.engine().await.expect("an engine");
    let other = NetworkSpec { name: "elsewhere".to_owned(), ..NetworkSpec::default() };
    engine.create_network(&other).await.expect("made");
    engine.connect_network("elsewhere", sandbox, None).await.expect("connected");
}

fn networks(world: &World, sandbox: &str) -> Vec<String> {
    world.engine.snapshot().containers[sandbox].networks.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_over_the_project_is_guarded_by_the_first_process() {
    let (world, sandbox, _) = running().await;
    let made = world.engine.creation(&sandbox).expect("it is there");
    assert_eq!(made["HostConfig"]["Init"], false);
    let project = info(&world).project;
    let words: Vec<_> = made["Cmd"].as_array().expect("a command").iter().filter_map(|word| word.as_str()).collect();
    let mounts = made["HostConfig"]["Mounts"].as_array().expect("mounts");
    let targets = mounts.iter().filter_map(|mount| mount["Target"].as_str());
    for target in targets.filter(|target| target.starts_with(&format!("{project}/"))) {
        assert!(words.windows(2).any(|pair| pair == ["--guard", target]), "{target} is not guarded: {words:?}");
    }
    assert!(words.contains(&format!("{project}/.git/config").as_str()), "{words:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_guard_says_is_told() {
    let (world, sandbox, gateway) = running().await;
    let project = info(&world).project;
    world.engine.print(&sandbox, true, &format!("boxwood-helper: no longer mounted: {project}/.git/config\n"));
    world.engine.kill_container(&sandbox, 79);
    until("the end", async || info(&world).state == SandboxState::Failed && state(&world, &gateway) == "exited").await;
    let why = info(&world).detail.expect("a reason");
    assert!(why.starts_with(".git/config was replaced") && why.contains("'boxwood start'"), "{why}");
    world.quiet().await;
    let end = world.play(plan::start(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    world.engine.kill_container(&sandbox, 137);
    until("another end", async || info(&world).detail.as_deref() == Some("it was killed")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_makes_a_network_anew_that_was_taken_away() {
    let (world, sandbox, _) = running().await;
    let own = networks(&world, &sandbox);
    put_elsewhere(&world, &sandbox).await;
    let leaks = leaking(&world);
    let end = world.play(plan::restart(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Failed);
    assert_eq!(networks(&world, &sandbox), [""; 0], "everything was taken away");
    leaks.store(false, Ordering::SeqCst);
    world.quiet().await;
    let end = world.play(plan::restart(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    assert_eq!(networks(&world, &sandbox), own);
    assert!(is_well(&info(&world)), "{:?}", info(&world));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engines_return_is_a_reason_to_look_and_a_start_mends_what_was_found() {
    let (mut world, sandbox, _) = running().await;
    let own = networks(&world, &sandbox);
    assert!(is_well(&info(&world)));
    world.engine.stop();
    until("the alarm", async || info(&world).alarm.is_some()).await;
    world.engine.restart();
    until("the end of the alarm", async || is_well(&info(&world))).await;

    put_elsewhere(&world, &sandbox).await;
    world.engine.stop();
    until("the alarm", async || info(&world).alarm.is_some()).await;
    let leaks = leaking(&world);
    world.engine.restart();
    let is_leak = |info: &SandboxInfo| info.alarm.as_ref().is_some_and(|alarm| alarm.contains("1.1.1.1:443"));
    until("the leak", async || is_leak(&info(&world))).await;
    assert_eq!(info(&world).enforcement, Enforcement::Off);
    assert_eq!(networks(&world, &sandbox), [""; 0]);

    world.quiet().await;
    let start = async || {
        let params = EnsureParams { project: info(&world).project, ..EnsureParams::default() };
        let started = ensure::ensure(&world.daemon, params).expect("started");
        world.daemon.operations.wait(&started.operation_id).await.expect("an end")
    };
    let end = start().await;
    let warned = end.result.expect("it can be attached to")["warnings"].to_string();
    assert!(warned.contains("its network could not be made anew"), "{warned}");
    assert_eq!(networks(&world, &sandbox), [""; 0], "it was found to leak again");
    leaks.store(false, Ordering::SeqCst);
    let end = start().await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    assert_eq!(networks(&world, &sandbox), own);
    assert!(is_well(&info(&world)), "{:?}", info(&world));
    assert_eq!(state(&world, &sandbox), "running", "what is in it goes on");
}
