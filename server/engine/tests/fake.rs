//! The adapter and the stand-in: the scenarios that hold for every engine, and what only an engine that fails on
//! command can show.

mod scenarios;

use std::time::Duration;

use boxwood_engine::{ContainerState, DockerEngine, Endpoint, Engine, EngineError, ExecSpec};
use boxwood_testkit::docker::{Execution, FakeDocker, Health, ImageSeed, Matcher, Usage};
use futures::StreamExt;
use scenarios::{Bench, SCRIPTS, collect};

async fn bench() -> Bench {
    let fake = FakeDocker::start();
    fake.add_image(&ImageSeed { env: vec!["PATH=/bin".to_owned()], ..ImageSeed::new("debian:bookworm-slim") });
    fake.set_stats_interval(Duration::from_millis(10));
    fake.on_exec(|command| {
        let [shell, option, script] = command else { return None };
        let (_, outcome) = SCRIPTS.iter().find(|(known, _)| known == script)?;
        (shell == "sh" && option == "-c").then(|| (*outcome).into())
    });
    fake.on_line(|command, line| (command == ["cat"]).then(|| vec![line.to_owned()]));
    Bench::new(Endpoint::parse(&fake.host(), "test").expect("a socket"), Some(fake))
}

scenarios::scenarios!(bench);

/// A bench and its fake.
struct Faulty(Bench);

impl Faulty {
    async fn new() -> Self {
        Self(bench().await)
    }

    fn fake(&mut self) -> &mut FakeDocker {
        self.0.fake.as_mut().expect("this bench is a fake's")
    }
}

#[tokio::test]
async fn nothing_is_asked_until_something_is_wanted() {
    let mut faulty = Faulty::new().await;
    assert_eq!(faulty.0.engine.api_version(), "");
    assert_eq!(faulty.fake().calls(), []);
    faulty.0.engine.list_containers(&[]).await.expect("a list");
    assert_eq!(faulty.0.engine.api_version(), "1.41");
    let paths: Vec<_> = faulty.fake().calls().into_iter().map(|call| (call.version, call.path)).collect();
    assert_eq!(paths, [(None, "/_ping".to_owned()), (Some("1.41".to_owned()), "/containers/json".to_owned())]);
}

#[tokio::test]
async fn a_known_version_saves_the_question() {
    let mut faulty = Faulty::new().await;
    let endpoint = Endpoint::parse(&faulty.fake().host(), "test").expect("a socket");
    let engine = DockerEngine::at(&endpoint, "1.41").expect("a version");
    engine.list_containers(&[]).await.expect("a list");
    let paths: Vec<_> = faulty.fake().calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/containers/json"]);
    assert!(DockerEngine::at(&endpoint, "new").is_err());
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_said_to_be() {
    let mut faulty = Faulty::new().await;
    faulty.fake().set_max_api("1.40");
    let refused = faulty.0.engine.info().await.expect_err("it is too old");
    assert!(matches!(&refused, EngineError::TooOld { found, needed: "1.41" } if found == "1.40"), "{refused:?}");
    let refused = faulty.0.engine.list_containers(&[]).await.expect_err("it is too old");
    assert!(matches!(refused, EngineError::TooOld { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_engine_that_was_replaced_is_asked_anew() {
    let mut faulty = Faulty::new().await;
    faulty.fake().set_max_api("1.99");
    faulty.0.engine.info().await.expect("the engine answers");
    assert_eq!(faulty.0.engine.api_version(), "1.53");
    faulty.fake().set_max_api("1.42");
    faulty.0.engine.info().await.expect("the engine answers");
    assert_eq!(faulty.0.engine.api_version(), "1.42");
}

#[tokio::test]
async fn an_engine_that_is_away_is_unavailable_until_it_is_back() {
    let mut faulty = Faulty::new().await;
    let id = faulty.0.running("stays").await;
    let mut events = faulty.0.engine.events(&[]).await.expect("events");
    faulty.fake().stop();
    let away = faulty.0.engine.info().await.expect_err("nothing answers");
    // What is left of a socket refuses; of a pipe nothing is left.
    let word = if cfg!(windows) { "does not exist" } else { "refused" };
    assert!(matches!(&away, EngineError::Unavailable { reason, .. } if reason.contains(word)), "{away:?}");
    // A stream says that it is over, one way or the other.
    assert!(!matches!(events.next().await, Some(Ok(_))));
    faulty.fake().restart();
    let found = faulty.0.engine.inspect_container(&id).await.expect("it is found");
    assert_eq!(found.state, ContainerState::Running);
}

#[tokio::test]
async fn a_socket_that_does_not_exist_is_no_engine() {
    // Its directory, and with it every trace, is gone.
    let url = FakeDocker::start().host();
    let engine = DockerEngine::connect(&Endpoint::parse(&url, "test").expect("a socket")).expect("a usable endpoint");
    let away = engine.info().await.expect_err("nothing answers");
    assert!(matches!(&away, EngineError::Unavailable { endpoint, .. } if *endpoint == url), "{away:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_of_something_else_is_no_engine() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let other = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await
    });
    let endpoint = Endpoint::parse(&format!("unix://{}", path.display()), "test").expect("a socket");
    let refused = DockerEngine::connect(&endpoint).expect("usable").info().await.expect_err("it is no engine");
    assert!(matches!(refused, EngineError::Broken(_)), "{refused:?}");
    other.await.expect("no panic").expect("the answer is sent");
}

#[tokio::test]
async fn an_error_is_told_in_the_engines_words() {
    let mut faulty = Faulty::new().await;
    let id = faulty.0.running("words").await;
    faulty.fake().fail_next(("POST", "/containers/*/stop"), 500, "the daemon is unwell");
    let refused = faulty.0.engine.stop_container(&id, 1).await.expect_err("it fails once");
    assert!(
        matches!(&refused, EngineError::Failed { status: 500, message } if message == "the daemon is unwell"),
        "{refused:?}"
    );
    faulty.0.engine.stop_container(&id, 1).await.expect("and only once");
    faulty.fake().fail_always(("POST", "/start"), 500, "mkdir /var: no space left on device");
    for _ in 0..2 {
        let full = faulty.0.engine.start_container(&id).await.expect_err("the disk is full");
        assert!(matches!(full, EngineError::NoSpace(_)), "{full:?}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_an_error_and_not_repeated() {
    let mut faulty = Faulty::new().await;
    let spec = faulty.0.spec("lost");
    faulty.0.engine.list_containers(&[]).await.expect("a list");
    faulty.fake().drop_connection(("POST", "/containers/create"));
    let broken = faulty.0.engine.create_container(&spec).await.expect_err("no answer comes");
    assert!(matches!(broken, EngineError::Broken(_)), "{broken:?}");
    assert_eq!(faulty.0.engine.list_containers(&[]).await.expect("a list"), []);

    faulty.fake().lose_answer(("POST", "/containers/create"));
    let broken = faulty.0.engine.create_container(&spec).await.expect_err("no answer comes");
    assert!(matches!(broken, EngineError::Broken(_)), "{broken:?}");
    assert_eq!(faulty.0.engine.list_containers(&[]).await.expect("a list").len(), 1);
    let creations = faulty.fake().calls().into_iter().filter(|call| call.path == "/containers/create").count();
    assert_eq!(creations, 2);
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_given_up() {
    let mut faulty = Faulty::new().await;
    faulty.0.engine.info().await.expect("the engine answers");
    faulty.fake().hang(Matcher::path("/containers/json"));
    tokio::time::pause();
    let late = faulty.0.engine.list_containers(&[]).await.expect_err("no answer comes");
    assert!(matches!(&late, EngineError::Unavailable { reason, .. } if reason.contains("30 seconds")), "{late:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn connections_are_kept_for_the_next_request() {
    let mut faulty = Faulty::new().await;
    let id = faulty.0.running("kept").await;
    // Requests in a row over a socket that is gone from the file system can only use a connection that is open.
    let socket = faulty.fake().socket();
    std::fs::rename(&socket, socket.with_extension("moved")).expect("the socket moves");
    for _ in 0..5 {
        faulty.0.engine.inspect_container(&id).await.expect("the connection is kept");
    }
    std::fs::rename(socket.with_extension("moved"), &socket).expect("the socket moves back");
}

#[tokio::test]
async fn changes_from_outside_are_told_of() {
    let mut faulty = Faulty::new().await;
    let mut spec = faulty.0.spec("outside");
    spec.health = Some(boxwood_engine::HealthSpec {
        command: vec!["check".to_owned()],
        interval_seconds: 30,
        timeout_seconds: 5,
        retries: 3,
    });
    let id = faulty.0.run(&spec).await;
    let mut events = faulty.0.engine.events(&faulty.0.filter()).await.expect("events");
    let name = spec.name.clone();
    faulty.fake().set_health(&name, Health::Healthy, "fine");
    faulty.fake().set_health(&name, Health::Healthy, "still fine");
    faulty.fake().run_out_of_memory(&name);
    let mut actions = Vec::new();
    while actions.len() < 3 {
        actions.push(events.next().await.expect("the stream goes on").expect("no error").action);
    }
    assert_eq!(actions, ["health_status: healthy", "oom", "die"]);
    let found = faulty.0.engine.inspect_container(&id).await.expect("it exists");
    assert_eq!((found.state, found.exit_code, found.is_oom_killed), (ContainerState::Exited, Some(137), true));
    assert_eq!(found.health.output, "still fine");
    faulty.0.engine.start_container(&id).await.expect("it starts");
    faulty.fake().kill_container(&name, 9);
    assert_eq!(faulty.0.engine.wait_container(&id).await.expect("it has ended"), 9);
}

#[tokio::test]
async fn figures_are_what_the_container_uses() {
    let mut faulty = Faulty::new().await;
    let id = faulty.0.running("uses").await;
    let name = faulty.0.name("uses");
    let usage = Usage { cpu_percent: 150.0, memory_bytes: 5000, cache_bytes: 700, pids: 3, ..Usage::default() };
    faulty.fake().set_usage(&name, usage);
    let mut figures = faulty.0.engine.stats(&id).await.expect("figures");
    let reading = figures.next().await.expect("a reading").expect("no error");
    assert!((reading.cpu_percent - 150.0).abs() < 0.01, "{reading:?}");
    assert_eq!((reading.memory_bytes, reading.pids), (5000, 3));
    faulty.fake().kill_container(&name, 0);
    while let Some(reading) = figures.next().await {
        reading.expect("no error");
    }
}

#[tokio::test]
async fn a_pull_is_told_in_lines() {
    let mut faulty = Faulty::new().await;
    faulty.fake().add_to_registry(&ImageSeed::new("host:5000/team/image:2"));
    let lines = faulty.0.engine.pull_image("host:5000/team/image:2").await.expect("a pull");
    let lines: Vec<String> = lines.map(|line| line.expect("no error")).collect().await;
    assert_eq!(lines.len(), 6, "{lines:#?}");
    assert!(lines[2].ends_with(": Downloading") && lines[3].ends_with(": Pull complete"), "{lines:#?}");
    assert!(faulty.0.engine.inspect_image("host:5000/team/image:2").await.expect("an answer").is_some());
}

#[tokio::test]
async fn a_reference_that_points_elsewhere_is_not_sent() {
    let mut faulty = Faulty::new().await;
    faulty.0.running("safe").await;
    faulty.fake().clear_calls();
    let refused = faulty.0.engine.remove_image(&format!("../containers/{}", faulty.0.name("safe"))).await;
    assert!(matches!(refused, Err(EngineError::Image(_))), "{refused:?}");
    assert!(faulty.0.engine.inspect_container("x/../y").await.is_err_and(|error| error.is_not_found()));
    assert_eq!(faulty.fake().calls(), []);
}

#[tokio::test]
async fn commands_are_noted_with_their_input() {
    let mut faulty = Faulty::new().await;
    let id = faulty.0.running("noted").await;
    faulty.fake().on_exec(|command| {
        (command == ["store"]).then(|| Execution::Consumes {
            stdout: b"stored".to_vec(),
            stderr: Vec::new(),
            exit_code: 0,
        })
    });
    let spec = ExecSpec {
        command: vec!["store".to_owned()],
        env: vec!["A=1".to_owned()],
        user: "1:2".to_owned(),
        stdin: true,
        ..ExecSpec::default()
    };
    assert_eq!(faulty.0.exec(&id, &spec, b"the input").await, ("stored".to_owned(), String::new(), 0));
    let noted = faulty.fake().execs().remove(0);
    assert_eq!((noted.command, noted.input, noted.user), (spec.command, b"the input".to_vec(), spec.user));
    assert_eq!((noted.env, noted.exit_code), (spec.env, Some(0)));
}

#[tokio::test]
async fn the_helper_answers_out_of_the_box() {
    let faulty = Faulty::new().await;
    let id = faulty.0.running("helper").await;
    let helper = "/opt/boxwood/bin/boxwood-helper";
    let (health, _, exit_code) = faulty.0.output(&id, &[helper, "health", "--workspace", "/w"]).await;
    assert!(health.starts_with("{\"healthy\":true,") && exit_code == 0, "{health}");
    assert_eq!(faulty.0.output(&id, &[helper, "verify"]).await.2, 0);
}

#[tokio::test]
async fn two_moments_can_be_compared() {
    let mut faulty = Faulty::new().await;
    let before = faulty.fake().snapshot();
    let id = faulty.0.running("moment").await;
    let between = faulty.fake().snapshot();
    assert_ne!(before, between);
    assert_eq!(between.containers[&faulty.0.name("moment")].state, "running");
    faulty.0.engine.remove_container(&id).await.expect("it goes");
    assert_eq!(faulty.fake().snapshot(), before);
}

#[tokio::test]
async fn logs_are_followed_until_the_end() {
    let mut faulty = Faulty::new().await;
    let id = faulty.0.running("follow").await;
    let name = faulty.0.name("follow");
    faulty.fake().print(&name, false, "early\n");
    let logs = faulty.0.engine.logs(&id, None, true).await.expect("logs");
    let collected = tokio::spawn(collect(logs));
    faulty.fake().print(&name, true, "late\n");
    faulty.fake().kill_container(&name, 0);
    assert_eq!(collected.await.expect("no panic"), (b"early\n".to_vec(), b"late\n".to_vec()));
}
