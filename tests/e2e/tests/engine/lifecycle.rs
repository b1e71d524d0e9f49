//! From nothing to a sandbox and back: start, stop, restart, refresh, remove.

use std::fs;

use boxwood_e2e::{World, docker, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::config::Lifetime;
use boxwood_protocol::contract::Count;
use boxwood_protocol::params::{EnsureAction, EnsureResult, SandboxFilter};
use boxwood_protocol::sandbox::{Enforcement, Health, SandboxDetail, SandboxInfo, SandboxState};

#[test]
fn starting_twice_gives_the_same_container() {
    let world = World::new();
    let first = world.start();
    assert_eq!(first.action, EnsureAction::Created);
    assert_eq!((first.sandbox.state, first.sandbox.health), (SandboxState::Running, Health::Healthy));
    assert_eq!(first.sandbox.enforcement, Enforcement::Outside, "the label says what is true");
    assert_eq!(first.sandbox.project, world.project().to_string_lossy());
    assert!(!first.sandbox.is_outdated, "also where there is no repository");
    let id = world.inspect().container_id;
    let second = world.start();
    assert_eq!(second.action, EnsureAction::Attached);
    assert_eq!(world.inspect().container_id, id);
    assert_eq!(world.containers(), [id]);
}

#[test]
fn where_the_policy_is_enforced_is_said_of_each_sandbox() {
    let world = World::new();
    let open = world.start_with(["--session", "open", "--network", "open"]).sandbox;
    let kept = world.start_with(["--session", "kept"]).sandbox;
    let listed = world.list();
    for (started, expected) in [(&open, Enforcement::Off), (&kept, Enforcement::Outside)] {
        let detail: SandboxDetail = world.boxwood(["inspect", "--json", "--session", &started.session]).run().json();
        let known = listed.iter().find(|known| known.id == started.id).expect("it is listed");
        for info in [started, &detail.sandbox, known] {
            assert_eq!((info.enforcement, &info.alarm), (expected, &None), "{}", info.id);
        }
    }
    let for_people = world.boxwood(["list"]).run().ok().out();
    for (id, word) in [(&open.id, "open"), (&kept.id, "outside")] {
        let mut lines = for_people.lines();
        let line = lines.find(|line| line.split_whitespace().any(|cell| cell == id)).unwrap_or_default();
        assert!(line.split_whitespace().any(|cell| cell == word), "{for_people}");
    }
}

#[test]
fn two_starts_at_once_from_two_processes_make_one_container() {
    let world = World::new();
    let calls: Vec<_> = (0..4).map(|_| world.boxwood(["start", "--json"]).spawn()).collect();
    let results: Vec<EnsureResult> = calls.into_iter().map(|call| call.wait().json()).collect();
    assert_eq!(world.containers().len(), 1);
    assert!(results.iter().all(|result| result.sandbox.id == results[0].sandbox.id));
    assert!(results.iter().any(|result| result.action == EnsureAction::Created));
    assert!(world.daemon().is_some(), "one daemon serves them all");
}

#[test]
fn a_stopped_sandbox_starts_again_with_all_it_had() {
    let world = World::new();
    let started = world.start();
    let id = world.inspect().container_id;
    let _ = world.sh("echo kept >~/note; echo layer >/tmp/in-the-container").ok();
    let stopped: SandboxInfo = world.boxwood(["stop", "--json"]).run().json();
    assert_eq!((stopped.state, stopped.exit_code), (SandboxState::Stopped, Some(0)), "it ended by itself");
    let _ = world.exec(["true"]).told("is refused");
    let refused = world.boxwood(["exec", "--json", "--", "true"]).run().error();
    assert_eq!(refused.code, ErrorCode::SandboxNotRunning);
    let again: SandboxInfo = world.boxwood(["stop", "--json"]).run().json();
    assert_eq!(again.state, SandboxState::Stopped, "stopping twice is fine");
    let restarted = world.start();
    assert_eq!(restarted.action, EnsureAction::Started);
    assert_eq!((world.inspect().container_id, restarted.sandbox.id), (id, started.sandbox.id));
    assert_eq!(world.sh("cat ~/note /tmp/in-the-container").ok().out(), "kept\nlayer\n");
}

#[test]
fn a_restart_ends_what_ran_and_keeps_the_container() {
    let world = World::new();
    let before = world.start().sandbox;
    let id = world.inspect().container_id;
    let after: SandboxInfo = world.boxwood(["restart", "--json"]).run().json();
    assert_eq!((after.state, after.health), (SandboxState::Running, Health::Healthy));
    assert_ne!(after.started_at, before.started_at);
    assert_eq!(world.inspect().container_id, id);
}

#[test]
fn a_refresh_makes_a_new_container_around_the_same_state() {
    let world = World::new();
    let before = world.start().sandbox;
    let id = world.inspect().container_id;
    let _ = world.sh("echo kept >~/note; echo mine >made-inside; echo gone >/tmp/in-the-container").ok();
    let result: EnsureResult = world.boxwood(["refresh", "--json", "--memory", "3g"]).run().json();
    assert_eq!((result.action, &result.sandbox.id), (EnsureAction::Recreated, &before.id));
    let now = world.inspect();
    assert_ne!(now.container_id, id);
    assert_eq!(now.limits.memory_bytes, 3 << 30);
    assert_eq!(world.containers(), [now.container_id], "the old one is gone");
    let said = world.sh("cat ~/note made-inside; test -e /tmp/in-the-container || echo fresh").ok();
    assert_eq!(said.out(), "kept\nmine\nfresh\n");
}

#[test]
fn a_refresh_that_fails_leaves_the_running_sandbox_as_it_was() {
    let world = World::new();
    let _ = world.start();
    let id = world.inspect().container_id;
    let refused = world.boxwood(["refresh", "--json", "--image", "boxwood-test-no-such-image:0"]).run();
    let _ = refused.refused(ErrorCode::ImageFailed);
    let now = world.inspect();
    assert_eq!((now.container_id, now.sandbox.state), (id, SandboxState::Running));
}

#[test]
fn removing_keeps_the_state_and_purging_does_not() {
    let world = World::new();
    let sandbox = world.start().sandbox;
    let home = world.home_of(&sandbox);
    let _ = world.sh("echo kept >~/note").ok();
    let _ = world.boxwood(["remove", "--json"]).run().ok();
    assert!(world.has_no_container());
    assert!(world.list().is_empty());
    assert_eq!(fs::read_to_string(home.join("note")).expect("the state stays"), "kept\n");
    let gone = world.boxwood(["inspect", "--json"]).run().refused(ErrorCode::SandboxNotFound);
    assert!(gone.message.contains("project"), "it names what was looked for: {gone}");

    assert_eq!(world.start().action, EnsureAction::Created);
    assert_eq!(world.sh("cat ~/note").ok().out(), "kept\n", "the state is found again");
    let unasked = world.boxwood(["remove", "--json", "--purge-state"]).run().refused(ErrorCode::InvalidParams);
    assert!(unasked.hint.is_some_and(|hint| hint.contains("--yes")));
    let _ = world.boxwood(["remove", "--json", "--purge-state", "--yes"]).run().ok();
    assert!(!home.exists());
}

#[test]
fn sessions_of_a_project_are_sandboxes_of_their_own() {
    let world = World::new();
    let first = world.start().sandbox;
    let second = world.start_with(["--session", "review"]).sandbox;
    assert_eq!(second.id, format!("{}-review", first.id));
    let ids: Vec<String> = world.list().into_iter().map(|sandbox| sandbox.id).collect();
    assert_eq!(ids, [first.id.clone(), second.id.clone()]);
    assert_eq!(world.boxwood(["list", "--quiet"]).run().ok().out(), format!("{}\n{}\n", first.id, second.id));
    let _ = world.boxwood(["stop", "--session", "review", "--json"]).run().ok();

    let mut rpc = boxwood_e2e::rpc::Rpc::open(&world);
    let count = rpc.call::<Count>(&SandboxFilter::default()).expect("counted");
    assert_eq!(count.total, 2);
    assert_eq!(count.by_state.get(&SandboxState::Running), Some(&1));
    assert_eq!(count.by_state.get(&SandboxState::Stopped), Some(&1));
    let elsewhere = SandboxFilter { project: Some("/nowhere".into()) };
    assert_eq!(rpc.call::<Count>(&elsewhere).expect("counted").total, 0);

    let prefix = &first.id[..first.id.len() - 2];
    let several = world.boxwood(["inspect", "--json", prefix]).run();
    let _ = several.refused(ErrorCode::SandboxAmbiguous);
    let _ = world.boxwood(["inspect", "--json", &second.id]).run().ok();
    let _ = world.boxwood(["start", "--json", "--session", "No Such Name"]).run().refused(ErrorCode::InvalidParams);
}

#[test]
fn an_ephemeral_sandbox_is_removed_when_it_ends_and_its_state_stays() {
    let world = World::new();
    let sandbox = world.start_with(["--ephemeral"]).sandbox;
    assert_eq!(sandbox.lifetime, Lifetime::Ephemeral);
    let _ = world.sh("echo kept >~/note").ok();
    let _ = world.boxwood(["stop", "--json"]).run();
    until("the ephemeral sandbox's removal", || world.has_no_container().then_some(()));
    until("the daemon hears of it", || world.list().is_empty().then_some(()));
    assert!(world.home_of(&sandbox).join("note").exists());
}

#[test]
fn what_happens_to_the_container_from_outside_is_noticed() {
    let world = World::new();
    let sandbox = world.start().sandbox;
    let state = |expected: SandboxState| {
        until("the new state", || world.list().into_iter().find(|known| known.state == expected))
    };
    let _ = docker::docker(["pause", &sandbox.container]);
    let _ = state(SandboxState::Paused);
    let _ = docker::docker(["unpause", &sandbox.container]);
    let _ = state(SandboxState::Running);
    let _ = docker::docker(["kill", &sandbox.container]);
    let failed = state(SandboxState::Failed);
    assert_eq!(failed.detail.as_deref(), Some("it was killed"));
    assert_eq!(world.start().action, EnsureAction::Started);
    let _ = docker::docker(["rm", "--force", &sandbox.container]);
    until("the removal", || world.list().is_empty().then_some(()));
    assert_eq!(world.start().action, EnsureAction::Created);
}

#[test]
fn everything_works_for_people_too_not_only_as_json() {
    let world = World::new();
    let said = world.boxwood(["start"]).run().ok();
    assert!(said.out().starts_with("Created sandbox project-"), "{}", said.told("says something else"));
    for (verb, word) in [
        ("list", "running"),
        ("inspect", "read-only"),
        ("restart", "Restarted"),
        ("stop", "Stopped"),
        ("remove", "Removed"),
    ] {
        let said = world.boxwood([verb]).run().ok();
        assert!(said.out().contains(word), "{}", said.told(&format!("does not say '{word}'")));
        assert!(!said.out().contains('\u{1b}'), "no colour where nobody sees it");
    }
}
