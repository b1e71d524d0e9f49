//! A gateway for tests: it answers on its standard streams as the real one does and decides nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boxwood_engine::{EngineError, Output, OutputStream};
use boxwood_protocol::egress::{EgressAction, EgressDecision, EgressLayer, EgressVia};
use boxwood_protocol::gateway::{Answer, Ask, Configure, Decide, Notice, Refusal, Request, Status, Tell};
use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::link::Streams;

/// The gateway; clones are the same one.
#[derive(Clone)]
pub(super) struct FakeGateway {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    status: Status,
    configured: Vec<Configure>,
    decided: Vec<Decide>,
    output: Option<UnboundedSender<Result<Output, EngineError>>>,
    attached: u32,
    /// Told right after the next answer.
    then: Vec<Tell>,
    /// Whether policies are refused.
    refuses: bool,
}

impl FakeGateway {
    /// It runs for the first time and has no policy.
    pub(super) fn new() -> Self {
        let status = Status { version: "test".to_owned(), run: 1, ..Status::default() };
        let inner = Inner {
            status,
            configured: Vec::new(),
            decided: Vec::new(),
            output: None,
            attached: 0,
            then: Vec::new(),
            refuses: false,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches to its streams. Only the last who attached is talked to.
    pub(super) fn attach(&self) -> Streams {
        let (output, receiver) = unbounded();
        let (input, lines) = tokio::io::duplex(1 << 16);
        {
            let mut inner = self.lock();
            inner.output = Some(output);
            inner.attached += 1;
        }
        let gateway = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(lines).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(request) = serde_json::from_str::<Request>(&line) {
                    gateway.answer(request);
                }
            }
        });
        Streams { output: Box::pin(receiver), input: Box::pin(input) }
    }

    fn answer(&self, request: Request) {
        let mut then = Vec::new();
        let (result, error) = match self.done(request.ask, &mut then) {
            Ok(status) => (Some(status), None),
            Err(message) => (None, Some(Refusal { code: -32602, message })),
        };
        let answer = Answer { jsonrpc: "2.0".to_owned(), id: request.id, result, error };
        self.say(&serde_json::to_string(&answer).expect("json"));
        then.append(&mut self.lock().then);
        for tell in &then {
            self.tell(tell);
        }
    }

    fn done(&self, ask: Ask, then: &mut Vec<Tell>) -> Result<Status, String> {
        let mut inner = self.lock();
        match ask {
            Ask::Configure(_) if inner.refuses => return Err("a rule cannot be used".to_owned()),
            Ask::Configure(configure) => {
                inner.status.revision = configure.revision;
                inner.configured.push(*configure);
            }
            Ask::Decide(decide) => {
                let waiting = inner.status.asks.len();
                inner.status.asks.retain(|ask| ask.id != decide.ask);
                if inner.status.asks.len() == waiting {
                    return Err(format!("nothing waits under '{}' any more", decide.ask));
                }
                then.push(Tell::Asked { id: decide.ask.clone() });
                inner.decided.push(decide);
            }
            Ask::Status(_) => {}
        }
        Ok(inner.status.clone())
    }

    /// Writes a line.
    pub(super) fn say(&self, line: &str) {
        if let Some(output) = &self.lock().output {
            let bytes = Bytes::from(format!("{line}\n"));
            let _ = output.unbounded_send(Ok(Output { stream: OutputStream::Stdout, bytes }));
        }
    }

    /// Tells something, which its status then shows as well.
    pub(super) fn tell(&self, tell: &Tell) {
        {
            let status = &mut self.lock().status;
            match tell {
                Tell::Decided(decision) => status.recent.push(decision.clone()),
                Tell::Asking(ask) => status.asks.push(ask.clone()),
                Tell::Ready(_) | Tell::Asked { .. } | Tell::Refused { .. } => {}
            }
        }
        let notice = Notice { jsonrpc: "2.0".to_owned(), tell: tell.clone() };
        self.say(&serde_json::to_string(&notice).expect("json"));
    }

    /// Tells something right after the next answer, which knows nothing of it.
    pub(super) fn then(&self, tell: Tell) {
        self.lock().then.push(tell);
    }

    /// Refuses policies from now on, or takes them again.
    pub(super) fn refuse(&self, refuses: bool) {
        self.lock().refuses = refuses;
    }

    /// Ends the conversation, as a broken connection to the engine does.
    pub(super) fn hang_up(&self) {
        self.lock().output = None;
    }

    /// Ends and starts anew: without a policy, counting from nothing.
    pub(super) fn restart(&self) {
        {
            let mut inner = self.lock();
            let run = inner.status.run + 1;
            inner.status = Status { run, ..Status::default() };
        }
        self.hang_up();
    }

    /// Changes what its status says.
    pub(super) fn set(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock().status);
    }

    /// What it was told to enforce, the newest last.
    pub(super) fn configured(&self) -> Vec<Configure> {
        self.lock().configured.clone()
    }

    /// What it was told of questions.
    pub(super) fn decided(&self) -> Vec<Decide> {
        self.lock().decided.clone()
    }

    /// How often it was attached to.
    pub(super) fn attached(&self) -> u32 {
        self.lock().attached
    }
}

/// A decision about port 443.
pub(super) fn decision(serial: u64, host: &str, action: EgressAction) -> EgressDecision {
    EgressDecision {
        serial,
        at_ms: 1_700_000_000_000 + serial,
        host: host.to_owned(),
        port: 443,
        via: EgressVia::Tls,
        action,
        layer: EgressLayer::Default,
        rule: None,
        reason: None,
        request: None,
        count: 1,
        bytes_up: 0,
        bytes_down: 0,
    }
}
