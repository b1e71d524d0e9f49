//! The engine's thread: a runtime, a socket and the connections on it. Ending the thread is what a crash of the
//! engine looks like from outside: every connection breaks at once.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::Call;
use super::faults::Fault;
use super::http::{Body, Refusal};
use super::listener::Listener;
use super::routes;
use super::world::{Engine, lock};

pub(super) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a socket that must not be there, and returns when it does.
    pub(super) fn start(engine: Arc<Engine>, socket: &Path) -> Self {
        let socket = socket.to_owned();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("fake-docker".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime for the fake engine");
            runtime.block_on(async move {
                let listener = Listener::bind(&socket).expect("a socket for the fake engine");
                ready.send(()).expect("somebody waits for the fake engine");
                tokio::select! {
                    () = serve(engine, listener) => {}
                    _ = stopped => {}
                }
            });
            // Tasks that still run go with the runtime, and their connections with them.
        });
        is_ready.recv().expect("the fake engine listens");
        Self { stop: Some(stop), thread: Some(thread.expect("a thread for the fake engine")) }
    }

    /// Breaks every connection and stops listening. The socket stays behind and refuses.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has already been printed.
            drop(thread.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn serve(engine: Arc<Engine>, mut listener: Listener) {
    while let Ok(stream) = listener.accept().await {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&engine), request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no concern of an engine.
            drop(connection.with_upgrades().await);
        });
    }
}

/// Ends a connection without an answer.
#[derive(Debug)]
struct Hangup;

impl std::fmt::Display for Hangup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for Hangup {}

async fn handle(engine: Arc<Engine>, mut request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    let method = request.method().as_str().to_owned();
    let (version, path) = split_version(request.uri().path());
    let (version, path) = (version.map(str::to_owned), path.to_owned());
    lock(&engine.calls).push(Call {
        method: method.clone(),
        path: path.clone(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        version: version.clone(),
    });
    let fault = lock(&engine.faults).meet(&method, &path);
    match fault {
        Some(Fault::Fail { status, message }) => return Ok(Refusal { status, message }.answer()),
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Drop) => return Err(Hangup),
        Some(Fault::LoseAnswer) => {
            drop(routes::route(&engine, &method, &path, &mut request).await);
            return Err(Hangup);
        }
        None => {}
    }
    if let Some(refusal) = version.as_deref().and_then(|version| refuse_version(&engine, version)) {
        return Ok(refusal.answer());
    }
    Ok(routes::route(&engine, &method, &path, &mut request).await.unwrap_or_else(|refusal| refusal.answer()))
}

/// `/v1.41/info` is `1.41` and `/info`.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let versioned = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
    match versioned {
        Some((version, _)) if number(version).is_some() => (Some(version), &path[version.len() + 2..]),
        _ => (None, path),
    }
}

fn number(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn refuse_version(engine: &Engine, version: &str) -> Option<Refusal> {
    let max = engine.settings().max_api;
    let message = format!("client version {version} is too new. Maximum supported API version is {max}");
    (number(version) > number(&max)).then_some(Refusal { status: 400, message })
}

#[cfg(test)]
mod tests {
    use super::split_version;

    #[test]
    fn a_version_is_not_part_of_the_path() {
        assert_eq!(split_version("/v1.41/info"), (Some("1.41"), "/info"));
        assert_eq!(split_version("/volumes/create"), (None, "/volumes/create"));
        assert_eq!(split_version("/_ping"), (None, "/_ping"));
    }
}
