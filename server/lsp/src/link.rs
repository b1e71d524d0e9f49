//! The one connection to the daemon, opened when it is first needed and again when it was lost.
//!
//! One task owns it; everybody else sends messages. While an editor wants events, a lost connection is opened again at
//! once, which starts a daemon if need be, and the new subscription begins with a snapshot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxwood_client::{CallError, Connection, Launcher};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::params::EngineStatus;
use boxwood_protocol::{EVENT_METHOD, Event, RpcError};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower_lsp::Client;
use tower_lsp::ls_types::notification::Notification;

/// A connection that was lost sooner than this after it was opened counts as one more sign of a daemon that dies at
/// once.
const SOON: Duration = Duration::from_secs(5);

/// After so many in a row, the next request is waited for instead.
const LOST_SOON: u32 = 3;

/// What the owner of the connection is asked.
enum Message {
    /// For the connection, opening it if need be.
    Connection(oneshot::Sender<Result<Arc<Connection>, RpcError>>),
    /// For these events from now on, or for none.
    Events(Option<SubscribeParams>),
    /// To end.
    Close,
}

/// The way to the connection's owner.
#[derive(Clone)]
pub(crate) struct Link {
    messages: mpsc::UnboundedSender<Message>,
}

impl Link {
    /// Nothing is opened yet.
    pub(crate) fn new(launcher: Launcher, client: Client) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let owner = Owner {
            launcher: Arc::new(launcher),
            client,
            connection: None,
            opening: None,
            opened: Instant::now(),
            lost_soon: 0,
            waiting: Vec::new(),
            wanted: None,
            forwarding: None,
        };
        tokio::spawn(owner.run(inbox));
        Self { messages }
    }

    /// Sends the daemon a request as it is.
    pub(crate) async fn relay(&self, method: &str, params: Option<&Value>) -> Result<Value, CallError> {
        let (answer, connection) = oneshot::channel();
        self.send(Message::Connection(answer));
        match connection.await {
            Ok(Ok(connection)) => connection.relay(method, params).await,
            Ok(Err(error)) => Err(CallError::Refused {
                number: error.code.number(),
                message: error.message.clone(),
                data: serde_json::to_value(error).ok(),
            }),
            Err(_) => Err(CallError::Lost("the editor is leaving".to_owned())),
        }
    }

    /// Forwards these events to the editor from now on, beginning with a snapshot.
    pub(crate) fn subscribe(&self, params: SubscribeParams) {
        self.send(Message::Events(Some(params)));
    }

    /// Forwards no more events.
    pub(crate) fn unsubscribe(&self) {
        self.send(Message::Events(None));
    }

    /// Closes the connection for good.
    pub(crate) fn close(&self) {
        self.send(Message::Close);
    }

    fn send(&self, message: Message) {
        // The owner has ended only when the editor is leaving; then nothing matters any more.
        let _ = self.messages.send(message);
    }
}

/// The task that owns the connection.
struct Owner {
    launcher: Arc<Launcher>,
    client: Client,
    connection: Option<Arc<Connection>>,
    opening: Option<JoinHandle<Result<Connection, RpcError>>>,
    opened: Instant,
    lost_soon: u32,
    waiting: Vec<oneshot::Sender<Result<Arc<Connection>, RpcError>>>,
    wanted: Option<SubscribeParams>,
    forwarding: Option<JoinHandle<()>>,
}

impl Owner {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Connection(answer)) => self.give(answer),
                    Some(Message::Events(wanted)) => self.want(wanted),
                    Some(Message::Close) | None => break,
                },
                result = finished(&mut self.opening) => self.on_opened(result).await,
                () = closed(self.connection.as_deref()) => self.on_lost(),
            }
        }
        self.stop_forwarding();
        if let Some(opening) = self.opening {
            opening.abort();
        }
    }

    fn give(&mut self, answer: oneshot::Sender<Result<Arc<Connection>, RpcError>>) {
        if let Some(connection) = &self.connection {
            // A request that was cancelled meanwhile does not want it any more.
            let _ = answer.send(Ok(Arc::clone(connection)));
        } else {
            self.waiting.push(answer);
            self.open();
        }
    }

    fn want(&mut self, wanted: Option<SubscribeParams>) {
        self.stop_forwarding();
        self.wanted = wanted;
        if self.wanted.is_some() {
            match self.connection {
                Some(_) => self.forward(),
                None => self.open(),
            }
        }
    }

    fn open(&mut self) {
        if self.opening.is_none() {
            let launcher = Arc::clone(&self.launcher);
            self.opening = Some(tokio::spawn(async move { launcher.connect().await }));
        }
    }

    async fn on_opened(&mut self, result: Result<Connection, RpcError>) {
        self.opening = None;
        match result {
            Ok(connection) => {
                tracing::info!(daemon = connection.daemon().build, pid = connection.daemon().pid, "connected");
                let connection = Arc::new(connection);
                self.opened = Instant::now();
                self.connection = Some(Arc::clone(&connection));
                self.forward();
                for answer in self.waiting.drain(..) {
                    let _ = answer.send(Ok(Arc::clone(&connection)));
                }
            }
            Err(error) => {
                tracing::error!(%error, "no connection to the daemon");
                for answer in self.waiting.drain(..) {
                    let _ = answer.send(Err(error.clone()));
                }
                self.report_absence(&error.to_string()).await;
            }
        }
    }

    fn on_lost(&mut self) {
        tracing::warn!("the connection to the daemon was lost");
        self.connection = None;
        self.stop_forwarding();
        self.lost_soon = if self.opened.elapsed() < SOON { self.lost_soon + 1 } else { 0 };
        if self.wanted.is_none() {
            return;
        }
        if self.lost_soon < LOST_SOON {
            self.open();
        } else {
            self.lost_soon = 0;
            tracing::error!("the daemon keeps leaving; the next request starts it again");
        }
    }

    /// Without the daemon nothing is known of the engine. The editor hears so in the way it knows.
    async fn report_absence(&self, problem: &str) {
        if self.wanted.is_none() {
            return;
        }
        let engine = EngineStatus {
            is_available: false,
            endpoint: String::new(),
            source: String::new(),
            version: None,
            api_version: None,
            problem: Some(problem.to_owned()),
        };
        if let Ok(event) = serde_json::to_value(Event::EngineChanged { engine }) {
            self.client.send_notification::<EventNotification>(event).await;
        }
    }

    fn forward(&mut self) {
        self.stop_forwarding();
        if let (Some(connection), Some(params)) = (&self.connection, &self.wanted) {
            let (connection, client, params) = (Arc::clone(connection), self.client.clone(), params.clone());
            self.forwarding = Some(tokio::spawn(forward(connection, client, params)));
        }
    }

    fn stop_forwarding(&mut self) {
        if let Some(forwarding) = self.forwarding.take() {
            forwarding.abort();
        }
    }
}

/// Forwards events until the connection is gone. When the daemon gave up a subscription because events came faster
/// than the editor reads, a new one brings everything up to date.
async fn forward(connection: Arc<Connection>, client: Client, params: SubscribeParams) {
    while connection.is_open() {
        match connection.subscribe_as::<_, Value>(&params).await {
            Ok(mut events) => {
                while let Some(event) = events.next().await {
                    client.send_notification::<EventNotification>(event).await;
                }
            }
            Err(error) => {
                tracing::error!(error = %RpcError::from(error), "no events");
                return;
            }
        }
    }
}

async fn finished(opening: &mut Option<JoinHandle<Result<Connection, RpcError>>>) -> Result<Connection, RpcError> {
    match opening {
        Some(opening) => match opening.await {
            Ok(result) => result,
            Err(error) => Err(RpcError::new(
                boxwood_protocol::ErrorCode::Internal,
                "connecting to the daemon failed unexpectedly",
            )
            .caused_by(error)),
        },
        None => std::future::pending().await,
    }
}

async fn closed(connection: Option<&Connection>) {
    match connection {
        Some(connection) => connection.closed().await,
        None => std::future::pending().await,
    }
}

/// An event on its way to the editor, as it came.
enum EventNotification {}

impl Notification for EventNotification {
    type Params = Value;
    const METHOD: &'static str = EVENT_METHOD;
}
