//! The streams of main processes.

use boxwood_engine::{Attached, ContainerSpec, Engine, OutputStream};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::bench::{Bench, text};

fn cat(bench: &Bench, name: &str) -> ContainerSpec {
    ContainerSpec { command: vec!["cat".to_owned()], open_stdin: true, without_init: true, ..bench.spec(name) }
}

/// Writes a line and reads what comes back, as far as its end.
async fn echo(attached: &mut Attached, line: &str) -> String {
    attached.input.write_all(format!("{line}\n").as_bytes()).await.expect("the input is taken");
    attached.input.flush().await.expect("the input is taken");
    let mut read = Vec::new();
    while !read.ends_with(b"\n") {
        let piece = attached.output.next().await.expect("the stream goes on").expect("no error");
        assert_eq!(piece.stream, OutputStream::Stdout);
        read.extend_from_slice(&piece.bytes);
    }
    text(&read)
}

pub(crate) async fn whoever_attaches_before_the_start_misses_nothing(bench: &Bench) {
    let command = ["echo", "first"].map(str::to_owned).to_vec();
    let spec = ContainerSpec { command, open_stdin: true, ..bench.spec("early") };
    let id = bench.engine.create_container(&spec).await.expect("a container is made");
    let mut attached = bench.engine.attach(&id).await.expect("it is attached to");
    bench.engine.start_container(&id).await.expect("it starts");
    let mut read = Vec::new();
    while let Some(piece) = attached.output.next().await {
        read.extend_from_slice(&piece.expect("no error").bytes);
    }
    assert_eq!(text(&read), "first\n", "and the stream ends with the run");
    assert!(bench.engine.attach(&bench.name("none")).await.is_err_and(|error| error.is_not_found()));
}

pub(crate) async fn the_input_stays_open_for_the_next_who_attaches(bench: &Bench) {
    let id = bench.run(&cat(bench, "open")).await;
    let mut one = bench.engine.attach(&id).await.expect("it is attached to");
    assert_eq!(echo(&mut one, "one").await, "one\n");
    drop(one);
    let mut two = bench.engine.attach(&id).await.expect("it is attached to again");
    let mut three = bench.engine.attach(&id).await.expect("by several");
    assert_eq!(echo(&mut two, "two").await, "two\n", "nothing from before is told");
    assert_eq!(three.output.next().await.expect("a piece").expect("no error").bytes, "two\n");
    bench.engine.stop_container(&id, 0).await.expect("it stops");
    assert!(two.output.next().await.is_none(), "the stream ends with the run");
}

pub(crate) async fn an_unlogged_process_can_be_attached_to(bench: &Bench) {
    let id = bench.run(&ContainerSpec { without_log: true, ..cat(bench, "unlogged") }).await;
    let mut attached = bench.engine.attach(&id).await.expect("it is attached to");
    assert_eq!(echo(&mut attached, "said").await, "said\n");
    assert!(bench.engine.logs(&id, None, false).await.is_err(), "nothing is kept");
}
