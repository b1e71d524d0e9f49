//! The streams of main processes: what is printed goes to everybody who is attached, and a script answers what is read.

use std::sync::Arc;

use hyper::header::{CONNECTION, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::http::{Answer, Outcome, empty_answer, frame, refuse};
use super::lifecycle::{main_command, write_log};
use super::world::{Engine, World};

/// The answer that turns a request's connection into a stream.
pub(super) fn upgraded() -> Answer {
    let mut answer = empty_answer(101);
    for (name, value) in [(CONNECTION, "Upgrade"), (UPGRADE, "tcp")] {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

pub(super) fn attach(engine: &Arc<Engine>, id: &str, upgrade: Option<OnUpgrade>) -> Outcome {
    let Some(upgrade) = upgrade else { return refuse(400, "attaching without an upgrade is not known here") };
    let session = engine.look(|world| {
        let container = world.container(id)?;
        // A container that does not run is attached to in its next run.
        let run = if container.is_running() { container.run } else { container.run + 1 };
        Ok(Session { engine: Arc::clone(engine), key: container.id.clone(), next: container.log.len(), run })
    })?;
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            session.serve(TokioIo::new(connection)).await;
        }
    });
    Ok(upgraded())
}

struct Session {
    engine: Arc<Engine>,
    key: String,
    /// The next piece of output.
    next: usize,
    /// The run that is followed.
    run: u64,
}

impl Session {
    async fn serve(mut self, connection: impl AsyncRead + AsyncWrite + Send + 'static) {
        let (input, mut output) = tokio::io::split(connection);
        let reading = tokio::spawn(read(Arc::clone(&self.engine), self.key.clone(), input));
        while let Some((stream, piece)) = self.piece().await {
            if output.write_all(&frame(stream, &piece)).await.is_err() {
                break;
            }
        }
        reading.abort();
        // A client that has gone does not mind.
        drop(output.shutdown().await);
    }

    /// The next piece of output; `None` at the end of the run.
    async fn piece(&mut self) -> Option<(u8, Vec<u8>)> {
        let (key, next, run) = (self.key.clone(), self.next, self.run);
        self.next += 1;
        let look = move |world: &World| {
            let Ok(container) = world.container(&key) else { return Some(None) };
            match container.log.get(next) {
                Some(piece) => Some(Some(piece.clone())),
                None if container.run > run || (container.run == run && !container.is_running()) => Some(None),
                None => None,
            }
        };
        self.engine.until(look).await
    }
}

/// Reads lines for the main process. Its input stays open when a client goes.
async fn read(engine: Arc<Engine>, key: String, input: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(input).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let scripts = engine.scripts();
        engine.change(|world| {
            let Ok(container) = world.container_mut(&key) else { return };
            if !container.is_running() || container.request["OpenStdin"] != serde_json::json!(true) {
                return;
            }
            container.read.push(line.clone());
            let command = main_command(container);
            for answer in scripts.answer(&command, &line) {
                write_log(world, &key, 1, format!("{answer}\n").as_bytes());
            }
        });
    }
}
