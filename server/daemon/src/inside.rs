//! What is asked of a running sandbox: commands, logs, figures.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use boxwood_core::labels;
use boxwood_engine::{ExecSpec, OutputStream, StatsReading};
use boxwood_protocol::operation::{OperationStarted, Stream};
use boxwood_protocol::params::{ExecParams, ExecResult, LogsParams, LogsResult, SandboxRef, StatsSample};
use boxwood_protocol::sandbox::SandboxState;
use boxwood_protocol::{ErrorCode, Event, RpcError};
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::verify;
use crate::operations::Subject;
use crate::registry::Known;

/// Bytes of each stream of a command that its result keeps.
const KEPT: usize = 1 << 20;
/// Lines of a log when none are asked for, and at most.
const LINES: u32 = 200;
const MOST_LINES: u32 = 10_000;

fn subject(known: &Known) -> Subject {
    Subject { sandbox_id: Some(known.info.id.clone()), project: Some(known.info.project.clone()) }
}

fn running(daemon: &Daemon, target: &SandboxRef) -> Result<Known> {
    let known = daemon.resolve(target)?;
    if known.info.state == SandboxState::Running {
        return Ok(known);
    }
    Err(RpcError::new(ErrorCode::SandboxNotRunning, format!("the sandbox {} is not running", known.info.id)))
}

/// Runs a command, telling its output as it comes.
pub(crate) fn exec(daemon: &Arc<Daemon>, params: ExecParams) -> Result<OperationStarted> {
    if params.command.is_empty() {
        return Err(RpcError::new(ErrorCode::InvalidParams, "there is no command to run"));
    }
    let known = running(daemon, &params.target)?;
    let daemon_ = Arc::clone(daemon);
    Ok(daemon.operations.start("exec", subject(&known), move |handle| async move {
        let (engine, _) = daemon_.link.engine().await?;
        let workspace = known.detail.labels.get(labels::WORKSPACE).cloned().unwrap_or_default();
        let spec =
            ExecSpec { command: params.command, workdir: params.workdir.unwrap_or(workspace), ..ExecSpec::default() };
        let what = "run the command";
        let work = async {
            let mut running =
                engine.exec(&known.detail.id, &spec).await.map_err(|cause| error::engine(what, &cause))?;
            let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
            while let Some(output) = running.output.next().await {
                let output = output.map_err(|cause| error::engine(what, &cause))?;
                let (tail, stream) = match output.stream {
                    OutputStream::Stdout => (&mut stdout, Stream::Stdout),
                    OutputStream::Stderr => (&mut stderr, Stream::Stderr),
                };
                let text = tail.push(&output.bytes);
                if !text.is_empty() {
                    handle.output(stream, text);
                }
            }
            let exit_code =
                engine.exec_exit_code(&running.exec_id).await.map_err(|cause| error::engine(what, &cause))?;
            Ok(not_started(ExecResult { exit_code, stdout: stdout.text(), stderr: stderr.text() }))
        };
        handle.or_cancelled(work).await
    }))
}

/// Engines report a program that does not start as if it had run and written the reason itself; a shell would give 127
/// for one that is not there, and the reason is no output.
fn not_started(result: ExecResult) -> ExecResult {
    let is_reason = matches!(result.exit_code, 126 | 127) && result.stdout.starts_with("OCI runtime exec failed");
    if !is_reason {
        return result;
    }
    let is_missing =
        ["executable file not found", "no such file or directory"].iter().any(|words| result.stdout.contains(words));
    ExecResult { exit_code: if is_missing { 127 } else { 126 }, stderr: result.stdout, stdout: String::new() }
}

/// The end of a stream of bytes, and its text piece by piece without cutting characters in two.
#[derive(Default)]
struct Tail {
    kept: VecDeque<u8>,
    cut: Vec<u8>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.kept.extend(bytes);
        let excess = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..excess);
        let mut pending = std::mem::take(&mut self.cut);
        pending.extend_from_slice(bytes);
        let end = match std::str::from_utf8(&pending) {
            Err(cause) if cause.error_len().is_none() => cause.valid_up_to(),
            _ => pending.len(),
        };
        self.cut = pending.split_off(end);
        String::from_utf8_lossy(&pending).into_owned()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.kept.make_contiguous()).into_owned()
    }
}

/// The end of the main process's log.
pub(crate) fn logs(daemon: &Arc<Daemon>, params: &LogsParams) -> Result<OperationStarted> {
    let known = daemon.resolve(&params.target)?;
    let tail = params.tail.unwrap_or(LINES).min(MOST_LINES);
    let daemon_ = Arc::clone(daemon);
    Ok(daemon.operations.start("logs", subject(&known), move |handle| async move {
        let (engine, _) = daemon_.link.engine().await?;
        let work = async {
            let stream = engine
                .logs(&known.detail.id, Some(tail), false)
                .await
                .map_err(|cause| error::engine("read the log", &cause))?;
            Ok(LogsResult { lines: verify::lines(stream).await })
        };
        handle.or_cancelled(work).await
    }))
}

/// One reading of the figures.
pub(crate) fn stats(daemon: &Arc<Daemon>, target: &SandboxRef) -> Result<OperationStarted> {
    let known = running(daemon, target)?;
    let daemon_ = Arc::clone(daemon);
    Ok(daemon.operations.start("stats", subject(&known), move |handle| async move {
        let (engine, _) = daemon_.link.engine().await?;
        let work = async {
            let what = "read the figures";
            let mut readings = engine.stats(&known.detail.id).await.map_err(|cause| error::engine(what, &cause))?;
            let reading = readings.next().await.ok_or_else(|| error::internal("the engine gave no figures"))?;
            reading.map(sample).map_err(|cause| error::engine(what, &cause))
        };
        handle.or_cancelled(work).await
    }))
}

const fn sample(reading: StatsReading) -> StatsSample {
    StatsSample {
        cpu_percent: reading.cpu_percent,
        memory_bytes: reading.memory_bytes,
        memory_limit_bytes: reading.memory_limit_bytes,
        pids: reading.pids,
        network_rx_bytes: reading.network_rx_bytes,
        network_tx_bytes: reading.network_tx_bytes,
    }
}

/// Figures that subscribers want: one stream per sandbox, shared by all who want it, ended with the last of them.
#[derive(Default)]
pub(crate) struct Feeds {
    running: Mutex<HashMap<String, (usize, CancellationToken)>>,
}

/// A subscriber's interest in figures; dropping it is the end of the interest.
pub(crate) struct Interest {
    daemon: Arc<Daemon>,
    sandboxes: Vec<String>,
}

impl Interest {
    pub(crate) fn new(daemon: &Arc<Daemon>, sandboxes: Vec<String>) -> Self {
        for sandbox in &sandboxes {
            let mut feeds = daemon.feeds.running.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, token) = feeds.entry(sandbox.clone()).or_default();
            *count += 1;
            if *count == 1 {
                tokio::spawn(feed(Arc::clone(daemon), sandbox.clone(), token.clone()));
            }
        }
        Self { daemon: Arc::clone(daemon), sandboxes }
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut feeds = self.daemon.feeds.running.lock().unwrap_or_else(PoisonError::into_inner);
        for sandbox in &self.sandboxes {
            if let Some((count, token)) = feeds.get_mut(sandbox) {
                *count -= 1;
                if *count == 0 {
                    token.cancel();
                    feeds.remove(sandbox);
                }
            }
        }
    }
}

/// Reads a sandbox's figures while it runs and waits for it to run again.
async fn feed(daemon: Arc<Daemon>, sandbox: String, token: CancellationToken) {
    let mut changes = daemon.hub.listen();
    let work = async {
        loop {
            if let Some(known) = daemon.registry.get(&sandbox).filter(|known| known.info.state == SandboxState::Running)
                && let Ok((engine, _)) = daemon.link.engine().await
                && let Ok(mut readings) = engine.stats(&known.detail.id).await
            {
                while let Some(Ok(reading)) = readings.next().await {
                    daemon.hub.tell(Event::Stats { sandbox_id: sandbox.clone(), sample: sample(reading) });
                }
            }
            // The figures ended with the container; the next change of the sandbox is the time to look again.
            loop {
                match changes.recv().await {
                    Ok(Event::SandboxChanged { sandbox: changed })
                        if changed.id == sandbox && changed.state == SandboxState::Running =>
                    {
                        break;
                    }
                    Ok(Event::Snapshot { .. }) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => break,
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                    Ok(_) => {}
                }
            }
        }
    };
    tokio::select! {
        () = token.cancelled() => {}
        () = work => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut_in_two() {
        let mut tail = Tail::default();
        let crab = "🦀".as_bytes();
        assert_eq!(tail.push(&crab[..2]), "");
        assert_eq!(tail.push(&crab[2..]), "🦀");
        assert_eq!(tail.push(b"\xffx"), "\u{fffd}x");
        tail.push(&vec![b'a'; KEPT + 5]);
        assert_eq!(tail.text().len(), KEPT);
    }
}
