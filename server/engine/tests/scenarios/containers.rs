//! Containers from making to removing.

use std::collections::BTreeMap;

use boxwood_engine::{ContainerSpec, ContainerState, Engine, EngineError, HealthSpec, HealthState, Mount};
use futures::StreamExt;

use super::bench::{Bench, IMAGE, collect, text};

async fn state(bench: &Bench, id: &str) -> ContainerState {
    bench.engine.inspect_container(id).await.expect("it exists").state
}

pub(crate) async fn a_container_lives_and_dies(bench: &Bench) {
    let engine = &bench.engine;
    let id = engine.create_container(&bench.spec("life")).await.expect("a container is made");
    let made = engine.inspect_container(&id).await.expect("it exists");
    assert_eq!((made.state, made.exit_code, made.started_at), (ContainerState::Created, None, None));

    engine.start_container(&id).await.expect("it starts");
    engine.start_container(&id).await.expect("starting it again is fine");
    let running = engine.inspect_container(&bench.name("life")).await.expect("it is found by name");
    assert_eq!((running.id.as_str(), running.state, running.exit_code), (id.as_str(), ContainerState::Running, None));
    assert!(running.started_at.is_some());

    bench.listens(&id).await;
    engine.stop_container(&id, 60).await.expect("it stops");
    engine.stop_container(&id, 60).await.expect("stopping it again is fine");
    let stopped = engine.inspect_container(&id).await.expect("it exists");
    assert_eq!((stopped.state, stopped.exit_code, stopped.is_oom_killed), (ContainerState::Exited, Some(143), false));

    engine.start_container(&id).await.expect("it starts once more");
    assert_eq!(state(bench, &id).await, ContainerState::Running);
    engine.remove_container(&id).await.expect("a running one is removed");
    engine.remove_container(&id).await.expect("removing it again is fine");
    assert!(engine.inspect_container(&id).await.expect_err("it is gone").is_not_found());
    assert_eq!(engine.list_containers(&bench.filter()).await.expect("a list"), []);
}

pub(crate) async fn a_name_is_given_once(bench: &Bench) {
    let engine = &bench.engine;
    let first = engine.create_container(&bench.spec("one")).await.expect("a container is made");
    let taken = engine.create_container(&bench.spec("one")).await.expect_err("the name is taken");
    assert!(matches!(taken, EngineError::Conflict(_)), "{taken:?}");

    let second = engine.create_container(&bench.spec("two")).await.expect("a container is made");
    let taken = engine.rename_container(&second, &bench.name("one")).await.expect_err("the name is taken");
    assert!(matches!(taken, EngineError::Conflict(_)), "{taken:?}");

    engine.rename_container(&first, &bench.name("old")).await.expect("it takes another name");
    engine.rename_container(&second, &bench.name("one")).await.expect("the name is free");
    assert_eq!(engine.inspect_container(&bench.name("one")).await.expect("it is found").id, second);
    assert_eq!(engine.inspect_container(&bench.name("old")).await.expect("it is found").id, first);
}

pub(crate) async fn what_is_asked_for_is_what_is_found(bench: &Bench) {
    let volume = bench.name("asked");
    bench.engine.create_volume(&volume, &[bench.label()]).await.expect("a volume is made");
    let directory = bench.directory.path().join("a, b=c 'd' ü");
    std::fs::create_dir(&directory).expect("a directory");
    let path = directory.to_str().expect("text").to_owned();
    let target = "/with a, b=c 'd' ü".to_owned();
    let spec = ContainerSpec {
        env: BTreeMap::from([("A".to_owned(), "1 =\n'2'".to_owned())]),
        mounts: vec![
            Mount::Bind { source: path, target, read_only: true },
            Mount::Volume { name: volume, target: "/v".to_owned(), read_only: false, no_copy: true },
            Mount::Tmpfs { target: "/t".to_owned(), size_bytes: 1 << 20, mode: 0o1777 },
        ],
        memory_bytes: 64 << 20,
        nano_cpus: 500_000_000,
        pids: 50,
        nofile: 1000,
        health: Some(HealthSpec {
            command: vec!["true".to_owned()],
            interval_seconds: 600,
            timeout_seconds: 5,
            retries: 2,
        }),
        ..bench.spec("asked")
    };
    let id = bench.engine.create_container(&spec).await.expect("a container is made");
    let found = bench.engine.inspect_container(&id).await.expect("it exists");
    assert_eq!(found.id, id);
    assert_eq!(found.name, spec.name);
    assert_eq!(found.image, IMAGE);
    assert!(found.image_id.starts_with("sha256:"), "{}", found.image_id);
    assert_eq!(found.labels.get(&bench.label().0), Some(&bench.label().1));
    assert_eq!(found.mounts, spec.mounts);
    assert_eq!(found.user, spec.user);
    assert_eq!(
        (found.memory_bytes, found.nano_cpus, found.pids, found.nofile),
        (spec.memory_bytes, spec.nano_cpus, spec.pids, spec.nofile)
    );
    assert!(found.created_at.ends_with('Z') && found.created_at.contains('T'), "{}", found.created_at);
    bench.engine.start_container(&id).await.expect("it starts");
    let running = bench.engine.inspect_container(&id).await.expect("it exists");
    assert_eq!(running.health.state, HealthState::Starting);
}

pub(crate) async fn what_is_missing_is_said_to_be(bench: &Bench) {
    let (engine, id) = (&bench.engine, bench.name("none"));
    let missing = [
        engine.inspect_container(&id).await.map(drop),
        engine.start_container(&id).await,
        engine.stop_container(&id, 1).await,
        engine.wait_container(&id).await.map(drop),
        engine.logs(&id, None, false).await.map(drop),
        engine.stats(&id).await.map(drop),
        engine
            .exec(&id, &boxwood_engine::ExecSpec { command: vec!["true".to_owned()], ..Default::default() })
            .await
            .map(drop),
        engine.rename_container(&id, &bench.name("other")).await,
        engine.path_exists(&id, "/").await.map(drop),
        engine.download(&id, "/", 1).await.map(drop),
        engine.create_container(&ContainerSpec { image: bench.name("image"), ..bench.spec("none") }).await.map(drop),
    ];
    for (index, found) in missing.into_iter().enumerate() {
        assert!(found.as_ref().is_err_and(EngineError::is_not_found), "{index}: {found:?}");
    }
}

pub(crate) async fn a_missing_bind_source_makes_no_container(bench: &Bench) {
    let source = bench.directory.path().join("gone").to_str().expect("text").to_owned();
    let mount = Mount::Bind { source: source.clone(), target: "/w".to_owned(), read_only: false };
    let spec = ContainerSpec { mounts: vec![mount], ..bench.spec("bind") };
    let refused = bench.engine.create_container(&spec).await.expect_err("the source is not there");
    assert!(
        matches!(&refused, EngineError::Failed { status: 400, message } if message.contains(&source)),
        "{refused:?}"
    );
    assert_eq!(bench.engine.list_containers(&bench.filter()).await.expect("a list"), []);
    assert!(!std::path::Path::new(&source).exists(), "the engine made the directory");
}

pub(crate) async fn limits_beyond_the_machine_are_refused(bench: &Bench) {
    let little = ContainerSpec { memory_bytes: 1 << 20, ..bench.spec("little") };
    let much = ContainerSpec { nano_cpus: 10_000 * 1_000_000_000, ..bench.spec("much") };
    for spec in [little, much] {
        let refused = bench.engine.create_container(&spec).await.expect_err("the limit is refused");
        assert!(matches!(refused, EngineError::Failed { status: 400, .. }), "{refused:?}");
    }
}

pub(crate) async fn the_main_process_leaves_its_output_and_its_status(bench: &Bench) {
    let command = ["sh", "-c", super::SCRIPTS[4].0].map(str::to_owned).to_vec();
    let id = bench.run(&ContainerSpec { command, ..bench.spec("main") }).await;
    assert_eq!(bench.engine.wait_container(&id).await.expect("it ends"), 7);
    let logs = async |tail| {
        let (stdout, stderr) = collect(bench.engine.logs(&id, tail, false).await.expect("logs")).await;
        assert!(stderr.is_empty(), "{:?}", text(&stderr));
        text(&stdout)
    };
    assert_eq!(logs(None).await, "lines\nmore\n");
    assert_eq!(logs(Some(1)).await, "more\n");
    let followed = bench.engine.logs(&id, None, true).await.expect("logs");
    assert_eq!(text(&collect(followed).await.0), "lines\nmore\n");
    let ended = bench.engine.inspect_container(&id).await.expect("it exists");
    assert_eq!((ended.state, ended.exit_code), (ContainerState::Exited, Some(7)));
}

pub(crate) async fn who_waits_learns_of_the_end(bench: &Bench) {
    let id = bench.running("wait").await;
    bench.listens(&id).await;
    let (waited, stopped) = tokio::join!(bench.engine.wait_container(&id), bench.engine.stop_container(&id, 60));
    stopped.expect("it stops");
    assert_eq!(waited.expect("it ends"), 143);
    assert_eq!(bench.engine.wait_container(&id).await.expect("it has ended"), 143);
}

pub(crate) async fn figures_come_while_it_runs(bench: &Bench) {
    let id = bench.run(&ContainerSpec { memory_bytes: 256 << 20, ..bench.spec("figures") }).await;
    let mut figures = bench.engine.stats(&id).await.expect("figures");
    let reading = figures.next().await.expect("a reading").expect("no error");
    assert!(reading.cpu_percent >= 0.0 && reading.cpu_percent.is_finite(), "{reading:?}");
    assert!(reading.memory_bytes > 0 && reading.memory_bytes <= reading.memory_limit_bytes, "{reading:?}");
    assert_eq!(reading.memory_limit_bytes, 256 << 20);
    assert!(reading.pids >= 1, "{reading:?}");
}

pub(crate) async fn lists_know_labels(bench: &Bench) {
    let mut labelled = bench.spec("labelled");
    labelled.labels.insert("dev.boxwood.test.kind".to_owned(), "a".to_owned());
    let first = bench.engine.create_container(&labelled).await.expect("a container is made");
    bench.engine.create_container(&bench.spec("plain")).await.expect("a container is made");
    let ids = async |more: &[&str]| {
        let labels: Vec<String> =
            bench.filter().into_iter().chain(more.iter().map(|label| (*label).to_owned())).collect();
        let found = bench.engine.list_containers(&labels).await.expect("a list");
        found.into_iter().map(|container| container.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]).await.len(), 2);
    assert_eq!(ids(&["dev.boxwood.test.kind"]).await, [first.as_str()]);
    assert_eq!(ids(&["dev.boxwood.test.kind=a"]).await, [first.as_str()]);
    assert!(ids(&["dev.boxwood.test.kind=b"]).await.is_empty());
    let listed = bench.engine.list_containers(&["dev.boxwood.test.kind=a".to_owned(), bench.filter().remove(0)]).await;
    let listed = listed.expect("a list").remove(0);
    assert_eq!(
        (listed.name, listed.image, listed.state),
        (bench.name("labelled"), IMAGE.to_owned(), ContainerState::Created)
    );
    assert!(listed.created_unix > 1_600_000_000);
}

pub(crate) async fn a_container_needs_a_command(bench: &Bench) {
    let refused = bench.engine.create_container(&ContainerSpec { command: Vec::new(), ..bench.spec("none") }).await;
    assert!(matches!(refused, Err(EngineError::Failed { status: 400, .. })), "{refused:?}");
}
