//! The way on which git inside asks for credentials: a command in the sandbox whose streams are held here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxwood_core::git::{Answer, Request};
use boxwood_engine::{ExecSpec, OutputStream, Running};
use boxwood_protocol::config::Network;
use boxwood_protocol::egress::{EgressAction, EgressTestParams};
use boxwood_protocol::git::GitAnswer;
use boxwood_protocol::params::SandboxRef;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use zeroize::Zeroizing;

use super::decided;
use crate::daemon::Daemon;
use crate::egress::requests as egress;
use crate::lifecycle::spec::HELPER;
use crate::registry::Known;

/// Most bytes of one question.
const LONGEST: usize = 64 * 1024;
/// Questions that are taken in so much time.
const RATE: (usize, Duration) = (30, Duration::from_secs(10));
/// Conversations that end before they began are not begun again for ever: an older helper knows of none.
const ATTEMPTS: u32 = 3;
/// Pause before a conversation is taken up again.
const PAUSE: Duration = Duration::from_secs(2);

/// What the helper says.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Question(Question),
    Ready {
        #[expect(dead_code, reason = "that it is there is what it says")]
        ready: bool,
    },
}

/// What git inside asks. Nothing of it is trusted.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    pub(super) id: u64,
    pub(super) protocol: String,
    pub(super) host: String,
    #[serde(default)]
    pub(super) path: Option<String>,
}

#[derive(Serialize)]
struct Given<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
}

/// Holds the conversation with a running sandbox, and takes it up again when it breaks off.
pub(super) async fn keep_up(daemon: &Arc<Daemon>, known: &Known) {
    let spec =
        ExecSpec { command: vec![HELPER.to_owned(), "git-channel".to_owned()], stdin: true, ..ExecSpec::default() };
    let mut failed = 0;
    while failed < ATTEMPTS {
        let Ok((engine, _)) = daemon.link.engine().await else {
            daemon.link.sign_of_life().await;
            continue;
        };
        match engine.exec(&known.detail.id, &spec).await {
            Ok(running) => {
                let has_begun = converse(daemon, known, running).await;
                failed = if has_begun { 0 } else { failed + 1 };
            }
            // Whoever sees the end of the container ends this as well.
            Err(cause) => tracing::debug!(sandbox = known.info.id, %cause, "git inside cannot ask at present"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::info!(sandbox = known.info.id, "git inside cannot ask for credentials");
}

/// Answers until the helper ends. Whether it ever said something.
pub(super) async fn converse(daemon: &Arc<Daemon>, known: &Known, running: Running) -> bool {
    let Running { mut output, mut input, .. } = running;
    let (mut begun, mut has_begun) = (Vec::new(), false);
    let mut answers = FuturesUnordered::new();
    let mut rate = Rate::default();
    loop {
        let piece = tokio::select! {
            piece = output.next() => piece,
            Some(answer) = answers.next(), if !answers.is_empty() => {
                let answer: Zeroizing<Vec<u8>> = answer;
                let written = async { input.write_all(&answer).await?; input.flush().await };
                if written.await.is_err() {
                    return has_begun;
                }
                continue;
            }
        };
        let Some(Ok(piece)) = piece else { return has_begun };
        if piece.stream == OutputStream::Stderr {
            continue;
        }
        begun.extend_from_slice(&piece.bytes);
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Line::Ready { .. }) => has_begun = true,
                Ok(Line::Question(question)) => {
                    let is_taken = rate.take(Instant::now());
                    answers.push(answer_line(daemon, known, question, is_taken));
                }
                Err(_) => return has_begun,
            }
        }
        if begun.len() > LONGEST {
            return has_begun;
        }
    }
}

async fn answer_line(daemon: &Arc<Daemon>, known: &Known, question: Question, is_taken: bool) -> Zeroizing<Vec<u8>> {
    let id = question.id;
    let answer = match is_taken {
        true => answer(daemon, known, question).await,
        false => Err("git asks too often; try again in a few seconds".to_owned()),
    };
    let given = Given {
        id,
        username: answer.as_ref().ok().map(|answer| answer.username.reveal()),
        password: answer.as_ref().ok().map(|answer| answer.password.reveal()),
        refused: answer.as_ref().err().map(String::as_str),
    };
    // Large enough from the beginning, so that no half of it stays behind where it grew from.
    let mut line = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
    if serde_json::to_writer(&mut *line, &given).is_err() {
        line.clear();
    }
    line.push(b'\n');
    line
}

/// Decides about a question, and says so in the log.
pub(super) async fn answer(daemon: &Arc<Daemon>, known: &Known, question: Question) -> Result<Answer, String> {
    let Question { protocol, host, path, .. } = question;
    let sandbox = known.info.id.as_str();
    let request = Request::new(&protocol, &host, path.as_deref()).map_err(|cause| {
        tracing::warn!(sandbox, host = %host.escape_debug(), %cause, "git inside asked for a credential oddly");
        cause.to_string()
    })?;
    let answer = decide(daemon, known, &request).await;
    let host = request.place();
    match &answer {
        Ok(_) => tracing::info!(sandbox, host, "git inside was given a credential"),
        Err(why) => tracing::info!(sandbox, host, why, "git inside was refused a credential"),
    }
    answer
}

async fn decide(daemon: &Arc<Daemon>, known: &Known, request: &Request) -> Result<Answer, String> {
    reachable(daemon, known, request).await?;
    let (project, host) = (&known.info.project, request.place());
    let decided = match decided::get(&daemon.paths, project, &host) {
        Some(answer) => Some(answer),
        None => daemon.git.asks.ask(daemon, &known.info.id, (project.clone(), host.clone())).await,
    };
    match decided {
        Some(GitAnswer::Allow) => {}
        Some(GitAnswer::Deny) => return Err(format!("the person refused it for {host}")),
        None => {
            return Err(format!("nobody answered for {host}; on the host, 'boxwood git allow {host}' allows it"));
        }
    }
    let environment = daemon.environments.of(&known.info.id, None).unwrap_or_default();
    let answer = match Answer::of_environment(|name| environment.0.get(name), request) {
        Some(answer) => answer,
        None => daemon.git.host.fill(request).await?,
    };
    // The person may have changed their mind while a helper took its time.
    match decided::get(&daemon.paths, project, &host) {
        Some(GitAnswer::Allow) => Ok(answer),
        _ => Err(format!("the person took it back for {host}")),
    }
}

/// A credential is of no use, and may only be meant to be carried off, where the sandbox may not go.
async fn reachable(daemon: &Arc<Daemon>, known: &Known, request: &Request) -> Result<(), String> {
    let host = request.place();
    match known.info.network {
        Network::Open => Ok(()),
        Network::None => Err(format!("the sandbox has no network, so {host} is not asked")),
        Network::Gateway => {
            let params = EgressTestParams {
                target: SandboxRef { sandbox: Some(known.info.id.clone()), ..SandboxRef::default() },
                host: request.host.to_string(),
                port: Some(request.port),
                method: None,
                path: None,
            };
            match egress::test(Arc::clone(daemon), params).await {
                Ok(verdict) if verdict.action == EgressAction::Allow => Ok(()),
                Ok(_) => Err(format!("the network policy does not allow {host}; 'boxwood egress allow {host}' does")),
                Err(problem) => Err(problem.message),
            }
        }
    }
}

/// How often somebody asked of late.
#[derive(Default)]
struct Rate(VecDeque<Instant>);

impl Rate {
    fn take(&mut self, now: Instant) -> bool {
        let (most, time) = RATE;
        while self.0.front().is_some_and(|at| now.duration_since(*at) > time) {
            self.0.pop_front();
        }
        let is_taken = self.0.len() < most;
        if is_taken {
            self.0.push_back(now);
        }
        is_taken
    }
}

#[cfg(test)]
mod rate_tests {
    use super::*;

    #[test]
    fn a_flood_is_not_answered_and_passes() {
        let (mut rate, now) = (Rate::default(), Instant::now());
        let taken = (0..100).filter(|_| rate.take(now)).count();
        assert_eq!(taken, RATE.0);
        assert!(rate.take(now + RATE.1 + Duration::from_secs(1)));
    }
}
