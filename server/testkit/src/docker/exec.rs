//! Commands in running containers, with their connection taken over for input and output.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::attach::upgraded;
use super::http::{Outcome, Query, empty_answer, frame, json_answer, refuse, stream_answer};
use super::scripts::Execution;
use super::world::{Engine, Exec, World};

/// What ends a terminal's input.
const CTRL_D: u8 = 4;
/// The engine kills what still runs in a container that ends.
const KILLED: i64 = 137;

pub(super) fn create(engine: &Engine, id: &str, request: Value) -> Outcome {
    engine.change(|world| {
        let container = world.container(id)?;
        let key = container.id.clone();
        if !container.is_running() {
            return refuse(409, format!("Container {key} is not running"));
        }
        if request["Cmd"].as_array().is_none_or(Vec::is_empty) {
            return refuse(400, "No exec command specified");
        }
        let action = format!("exec_create: {}", command(&request).join(" "));
        let exec_id = world.new_id();
        let exec =
            Exec { container: key.clone(), request, is_started: false, exit_code: None, input: Vec::new(), size: None };
        world.execs.push((exec_id.clone(), exec));
        world.tell(&key, &action, &[("execID", exec_id.clone())]);
        Ok(json_answer(201, &json!({ "Id": exec_id })))
    })
}

pub(super) fn command(request: &Value) -> Vec<String> {
    let words = request["Cmd"].as_array().into_iter().flatten();
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

pub(super) fn start(engine: &Arc<Engine>, id: &str, body: &Value, upgrade: Option<OnUpgrade>) -> Outcome {
    let (command, tty, run) = engine.change(|world| {
        let exec = world.exec_mut(id)?;
        if exec.is_started {
            return refuse(409, format!("Error: Exec command {id} is already running"));
        }
        let key = exec.container.clone();
        let (command, tty) = (command(&exec.request), exec.request["Tty"] == json!(true));
        let container = world.container(&key)?;
        if !container.is_running() {
            return refuse(409, format!("Container {key} is not running"));
        }
        let run = container.run;
        world.exec_mut(id)?.is_started = true;
        world.tell(&key, &format!("exec_start: {}", command.join(" ")), &[("execID", id.to_owned())]);
        Ok((command, tty, run))
    })?;
    let session = Session { engine: Arc::clone(engine), id: id.to_owned(), command, tty, run };
    if body["Detach"] == json!(true) {
        let (_, ours) = tokio::io::duplex(1);
        tokio::spawn(session.serve(ours));
        return Ok(empty_answer(200));
    }
    let Some(upgrade) = upgrade else {
        // Without an upgrade the answer's body is the output, and there is no input.
        let (theirs, ours) = tokio::io::duplex(64 * 1024);
        let (output, mut input) = tokio::io::split(theirs);
        tokio::spawn(session.serve(ours));
        let pieces = futures::stream::unfold(output, |mut output| async move {
            let mut piece = vec![0; 4096];
            let length = output.read(&mut piece).await.unwrap_or_default();
            piece.truncate(length);
            (length > 0).then(|| (piece.into(), output))
        });
        tokio::spawn(async move { input.shutdown().await });
        return Ok(stream_answer("application/vnd.docker.raw-stream", pieces));
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            session.serve(TokioIo::new(upgraded)).await;
        }
    });
    Ok(upgraded())
}

struct Session {
    engine: Arc<Engine>,
    id: String,
    command: Vec<String>,
    tty: bool,
    /// The run of the container that the command belongs to.
    run: u64,
}

impl Session {
    async fn serve(self, connection: impl AsyncRead + AsyncWrite + Send + 'static) {
        let (mut input, mut output) = tokio::io::split(connection);
        let execution = self.engine.scripts().run(&self.command);
        let exit_code = tokio::select! {
            exit_code = self.execute(execution, &mut input, &mut output) => exit_code,
            () = self.container_ends() => KILLED,
        };
        self.engine.change(|world| {
            let Ok(exec) = world.exec_mut(&self.id) else { return };
            exec.exit_code = Some(exit_code);
            let key = exec.container.clone();
            let more = [("execID", self.id.clone()), ("exitCode", exit_code.to_string())];
            world.tell(&key, "exec_die", &more);
        });
        // A client that has gone does not mind.
        drop(output.shutdown().await);
    }

    async fn execute(
        &self,
        execution: Execution,
        input: &mut (impl AsyncRead + Unpin),
        output: &mut (impl AsyncWrite + Unpin),
    ) -> i64 {
        match execution {
            Execution::Ends { stdout, stderr, exit_code } => {
                self.write(output, 1, &stdout).await;
                self.write(output, 2, &stderr).await;
                exit_code
            }
            Execution::Consumes { stdout, stderr, exit_code } => {
                while self.read(input).await.is_some() {}
                self.write(output, 1, &stdout).await;
                self.write(output, 2, &stderr).await;
                exit_code
            }
            Execution::Echoes { greeting } => {
                self.write(output, 1, &greeting).await;
                while let Some(piece) = self.read(input).await {
                    let end = piece.iter().position(|byte| self.tty && *byte == CTRL_D);
                    self.write(output, 1, &piece[..end.unwrap_or(piece.len())]).await;
                    if end.is_some() {
                        break;
                    }
                }
                0
            }
            Execution::Hangs => std::future::pending().await,
            Execution::Missing => {
                let program = self.command.first().map(String::as_str).unwrap_or_default();
                let message = format!(
                    "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": \
                     executable file not found in $PATH: unknown\r\n"
                );
                self.write(output, 1, message.as_bytes()).await;
                127
            }
        }
    }

    /// Writes to a client that may have gone: the command does not stop for it.
    async fn write(&self, output: &mut (impl AsyncWrite + Unpin), kind: u8, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let written = match self.tty {
            true => output.write_all(bytes).await,
            false => output.write_all(&frame(kind, bytes)).await,
        };
        drop(written);
    }

    /// The next piece of input, noted for tests.
    async fn read(&self, input: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
        let mut piece = vec![0; 4096];
        let length = input.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        piece.truncate(length);
        self.engine.change(|world| {
            if let Ok(exec) = world.exec_mut(&self.id) {
                exec.input.extend_from_slice(&piece);
            }
        });
        Some(piece)
    }

    async fn container_ends(&self) {
        let has_ended = |world: &World| {
            let container = world.exec(&self.id).ok().and_then(|exec| world.container(&exec.container).ok());
            container.is_none_or(|container| !container.is_running() || container.run != self.run).then_some(())
        };
        self.engine.until(has_ended).await;
    }
}

pub(super) fn resize(engine: &Engine, id: &str, query: &Query) -> Outcome {
    let size = |name: &str| query.get(name).parse().unwrap_or_default();
    engine.change(|world| {
        let exec = world.exec_mut(id)?;
        if !exec.is_started || exec.exit_code.is_some() {
            return refuse(409, format!("cannot resize a stopped container: exec {id}"));
        }
        exec.size = Some((size("w"), size("h")));
        Ok(empty_answer(200))
    })
}

pub(super) fn inspect(engine: &Engine, id: &str) -> Outcome {
    engine.look(|world| {
        let exec = world.exec(id)?;
        let is_running = exec.is_started && exec.exit_code.is_none();
        let command = command(&exec.request);
        Ok(json_answer(
            200,
            &json!({
                "ID": id, "Running": is_running, "ExitCode": exec.exit_code, "ContainerID": exec.container,
                "OpenStdin": exec.request["AttachStdin"], "OpenStdout": true, "OpenStderr": true, "CanRemove": false,
                "Pid": if is_running { 4343 } else { 0 }, "DetachKeys": "",
                "ProcessConfig": { "tty": exec.request["Tty"], "entrypoint": command.first(),
                    "arguments": command.get(1..).unwrap_or_default(), "privileged": false },
            }),
        ))
    })
}
