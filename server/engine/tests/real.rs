//! The adapter and an engine on this machine. Everything made here carries a label of its own and is removed at the
//! end, also of a test that fails. Without an engine these tests fail.
#![cfg(unix)]

mod scenarios;

use std::os::unix::fs::MetadataExt;

use boxwood_engine::{
    ContainerSpec, DockerEngine, Endpoint, Engine, EngineError, ExecSpec, HealthSpec, HealthState, Mount, OutputStream,
};
use futures::StreamExt;
use scenarios::bench::{archive, text};
use scenarios::{Bench, collect};

async fn bench() -> Bench {
    let bench = Bench::new(Endpoint::from_environment().expect("a usable endpoint"), None);
    bench.engine.info().await.expect("these tests need a Docker engine");
    bench
}

scenarios::scenarios!(bench);

fn shell(script: &str) -> ExecSpec {
    ExecSpec { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..ExecSpec::default() }
}

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let bench = bench().await;
    let info = bench.engine.info().await.expect("the engine answers");
    assert!(info.cpus > 0 && info.memory_bytes > 0 && !info.version.is_empty() && !info.id.is_empty(), "{info:?}");
    assert_eq!(info.os, "linux");
    assert!(matches!(info.arch.as_str(), "amd64" | "arm64"), "{}", info.arch);
    let version = bench.engine.api_version();
    let minor = version.strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok());
    assert!(minor.is_some_and(|minor| minor >= 41), "{version}");
    assert!(std::path::Path::new(&info.root_directory).is_absolute());
}

#[tokio::test]
async fn a_second_client_need_not_negotiate() {
    let bench = bench().await;
    let id = bench.running("second").await;
    let endpoint = Endpoint::from_environment().expect("a usable endpoint");
    let second = DockerEngine::at(&endpoint, &bench.engine.api_version()).expect("a version");
    assert_eq!(second.inspect_container(&id).await.expect("it is found").id, id);
    assert_eq!(second.api_version(), bench.engine.api_version());
}

#[tokio::test]
async fn a_container_has_no_power_and_its_limits_hold() {
    let bench = bench().await;
    let spec = ContainerSpec {
        memory_bytes: 128 << 20,
        nano_cpus: 500_000_000,
        pids: 64,
        nofile: 777,
        workdir: "/usr".to_owned(),
        mounts: vec![Mount::Tmpfs { target: "/t".to_owned(), size_bytes: 1 << 20, mode: 0o1700 }],
        ..bench.spec("power")
    };
    let id = bench.run(&spec).await;
    // The engine answers when the program is about to begin; until then its first process is the runtime's own.
    let script = "while grep -q '^runc' /proc/1/cmdline; do :; done; \
                  grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr '\\t' ' '; \
                  id -u; id -g; ulimit -n; pwd; hostname; tr '\\0' ' ' < /proc/1/cmdline; echo; \
                  stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'";
    let (stdout, stderr, exit_code) = bench.exec(&id, &shell(script), b"").await;
    let found: Vec<&str> = stdout.lines().collect();
    let none = "0000000000000000";
    let expected = [
        format!("CapPrm: {none}"),
        format!("CapEff: {none}"),
        format!("CapBnd: {none}"),
        "NoNewPrivs: 1".to_owned(),
        "1234".to_owned(),
        "1234".to_owned(),
        "777".to_owned(),
        "/usr".to_owned(),
        "bench".to_owned(),
        "/sbin/docker-init -- sleep 300 ".to_owned(),
        "1700".to_owned(),
        "1024".to_owned(),
    ];
    assert_eq!((found, exit_code), (expected.iter().map(String::as_str).collect(), 0), "{stderr}");

    let (_, _, exit_code) = bench.exec(&id, &shell("head -c 300m /dev/zero | tail"), b"").await;
    assert_ne!(exit_code, 0, "more memory than the limit was given");
    let (_, stderr, _) = bench.exec(&id, &shell("for i in $(seq 200); do sleep 5 & done; wait"), b"").await;
    assert!(stderr.contains("fork"), "more processes than the limit were started: {stderr:?}");
}

#[tokio::test]
async fn files_made_in_a_bind_belong_to_the_user() {
    let bench = bench().await;
    let path = bench.directory.path().join("it's a \"dir\", really");
    std::fs::create_dir(&path).expect("a directory");
    let own = std::fs::metadata(&path).expect("the directory is there");
    // Root can give the directory to somebody else, which shows more.
    let (uid, gid) = if own.uid() == 0 { (1234, 1234) } else { (own.uid(), own.gid()) };
    std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("the directory has an owner");
    let path = path.to_str().expect("text").to_owned();
    let mount = Mount::Bind { source: path.clone(), target: path.clone(), read_only: false };
    let spec = ContainerSpec {
        mounts: vec![mount],
        user: format!("{uid}:{gid}"),
        workdir: path.clone(),
        ..bench.spec("files")
    };
    let id = bench.run(&spec).await;
    assert_eq!(bench.exec(&id, &shell("echo hi > made"), b"").await.2, 0);
    let made = std::fs::metadata(std::path::Path::new(&path).join("made")).expect("the file is on the host");
    assert_eq!((made.uid(), made.gid()), (uid, gid));
}

#[tokio::test]
async fn a_health_check_is_run_by_the_engine_and_told_of() {
    let bench = bench().await;
    let health = HealthSpec {
        command: ["sh", "-c", "cat /tmp/health"].map(str::to_owned).to_vec(),
        interval_seconds: 1,
        timeout_seconds: 5,
        retries: 1,
    };
    let spec = ContainerSpec { health: Some(health), ..bench.spec("health") };
    let mut events = bench.engine.events(&bench.filter()).await.expect("events");
    let id = bench.run(&spec).await;
    let mut next = async || loop {
        let event = events.next().await.expect("the stream goes on").expect("no error");
        if event.action.starts_with("health_status") {
            return event.action;
        }
    };
    assert_eq!(next().await, "health_status: unhealthy");
    let found = bench.engine.inspect_container(&id).await.expect("it exists").health;
    assert_eq!(found.state, HealthState::Unhealthy);
    assert!(found.output.contains("/tmp/health"), "{}", found.output);
    assert_eq!(bench.exec(&id, &shell("echo well > /tmp/health"), b"").await.2, 0);
    assert_eq!(next().await, "health_status: healthy");
    let found = bench.engine.inspect_container(&id).await.expect("it exists").health;
    assert_eq!((found.state, found.output.trim()), (HealthState::Healthy, "well"));
}

#[tokio::test]
async fn logs_are_followed_as_they_are_written() {
    let bench = bench().await;
    let script = "echo first; while ! test -e /tmp/go; do sleep 0.05; done; echo second >&2; exit 0";
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let id = bench.run(&ContainerSpec { command, ..bench.spec("logs") }).await;
    let mut logs = bench.engine.logs(&id, None, true).await.expect("logs");
    let first = logs.next().await.expect("a line").expect("no error");
    assert_eq!((first.stream, text(&first.bytes)), (OutputStream::Stdout, "first\n".to_owned()));
    assert_eq!(bench.exec(&id, &shell("touch /tmp/go"), b"").await.2, 0);
    assert_eq!(collect(logs).await, (Vec::new(), b"second\n".to_vec()));
}

#[tokio::test]
async fn a_terminal_has_the_size_it_is_told() {
    let bench = bench().await;
    let id = bench.running("size").await;
    let spec = ExecSpec { tty: true, stdin: true, ..shell("read -r go; stty size") };
    let mut running = bench.engine.exec(&id, &spec).await.expect("the command starts");
    bench.engine.resize_exec(&running.exec_id, 101, 43).await.expect("the terminal has a size");
    tokio::io::AsyncWriteExt::write_all(&mut running.input, b"go\n").await.expect("the input is taken");
    let (stdout, _) = collect(running.output).await;
    assert!(text(&stdout).contains("43 101"), "{:?}", text(&stdout));
}

#[tokio::test]
async fn a_terminal_may_write_any_byte() {
    let bench = bench().await;
    let id = bench.running("bytes").await;
    let spec = ExecSpec { tty: true, ..shell("printf '\\001\\000\\000\\000\\000\\000\\000\\002hi'") };
    let running = bench.engine.exec(&id, &spec).await.expect("the command starts");
    assert_eq!(collect(running.output).await.0, b"\x01\0\0\0\0\0\0\x02hi");
}

#[tokio::test]
async fn an_images_entry_point_and_health_check_are_replaced() {
    let bench = bench().await;
    let tag = format!("{}:1", bench.name("entry"));
    let dockerfile = "FROM debian:bookworm-slim\nENTRYPOINT [\"false\"]\nCMD [\"never\"]\nHEALTHCHECK CMD false\n";
    let recipe = boxwood_engine::BuildSpec {
        tag: tag.clone(),
        dockerfile: "Dockerfile".to_owned(),
        labels: bench.labels(),
        context: bytes::Bytes::from(archive(&[("Dockerfile", dockerfile)])),
        ..Default::default()
    };
    let mut build = bench.engine.build_image(&recipe).await.expect("a build");
    while let Some(line) = build.next().await {
        line.expect("the image is built");
    }
    let command = vec!["true".to_owned()];
    let id = bench.run(&ContainerSpec { image: tag, command, ..bench.spec("entry") }).await;
    assert_eq!(bench.engine.wait_container(&id).await.expect("it ends"), 0);
    let found = bench.engine.inspect_container(&id).await.expect("it exists");
    assert_eq!(found.health.state, HealthState::None);
}

#[tokio::test]
async fn figures_end_with_the_container() {
    let bench = bench().await;
    let id = bench.running("figures").await;
    let mut figures = bench.engine.stats(&id).await.expect("figures");
    figures.next().await.expect("a reading").expect("no error");
    bench.engine.remove_container(&id).await.expect("it goes");
    while let Some(reading) = figures.next().await {
        reading.expect("no error");
    }
}

#[tokio::test]
async fn two_who_remove_the_same_container_both_succeed() {
    let bench = bench().await;
    let id = bench.running("twice").await;
    let (one, two) = tokio::join!(bench.engine.remove_container(&id), bench.engine.remove_container(&id));
    one.expect("the first succeeds");
    two.expect("the second succeeds");
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let bench = bench().await;
    let command = vec!["/no/such/program".to_owned()];
    let id =
        bench.engine.create_container(&ContainerSpec { command, ..bench.spec("fails") }).await.expect("it is made");
    let ended = match bench.engine.start_container(&id).await {
        Err(EngineError::Failed { message, .. }) => message,
        Err(EngineError::NotFound(message)) => message,
        // With an init process the container starts, and init finds nothing to run.
        Ok(()) => {
            assert_eq!(bench.engine.wait_container(&id).await.expect("it ends"), 127);
            text(&collect(bench.engine.logs(&id, None, false).await.expect("logs")).await.1)
        }
        Err(other) => panic!("{other:?}"),
    };
    assert!(ended.contains("/no/such/program"), "{ended:?}");
}

#[tokio::test]
async fn a_build_that_is_dropped_ends() {
    let bench = bench().await;
    let tag = format!("{}:1", bench.name("dropped"));
    let dockerfile =
        format!("FROM debian:bookworm-slim\nLABEL dev.boxwood.test={}\nRUN echo begun && sleep 300\n", bench.id);
    let recipe = boxwood_engine::BuildSpec {
        tag,
        dockerfile: "Dockerfile".to_owned(),
        labels: bench.labels(),
        context: bytes::Bytes::from(archive(&[("Dockerfile", &dockerfile)])),
        no_cache: true,
        ..Default::default()
    };
    let mut events = bench.engine.events(&bench.filter()).await.expect("events");
    let mut build = bench.engine.build_image(&recipe).await.expect("a build");
    while let Some(line) = build.next().await {
        if line.expect("no error") == "begun" {
            break;
        }
    }
    drop(build);
    // The step's own container carries the label, and dies although it would sleep for minutes.
    loop {
        let event = events.next().await.expect("the stream goes on").expect("no error");
        if event.action == "destroy" {
            break;
        }
    }
}
