//! A gate between the product and the real engine: every byte passes through it, and the test can hold a request or its
//! answer, or take the engine away and give it back. So "in the middle of" is a moment that a test can choose. It can also
//! give things other names, so that what a machine has can be missing, or made, without being touched.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::docker::docker;
use crate::world::World;

/// How long a request may take to arrive at the gate; much may have to be made before it.
const ARRIVAL: Duration = Duration::from_secs(240);

/// Which side of the engine's work a request is held on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The engine has not seen the request.
    Before,
    /// The engine has done what was asked, and its answer is held.
    After,
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    socket: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rule: Option<(String, String, Moment)>,
    is_held: bool,
    open: Vec<UnixStream>,
    names: Vec<(String, String)>,
}

impl Gate {
    /// Puts a gate before the engine of a world whose daemon has not been started yet.
    ///
    /// # Panics
    /// When the engine is not a local one, or the gate's socket cannot be made.
    #[must_use]
    pub fn before(world: &mut World) -> Self {
        let host = std::env::var("DOCKER_HOST")
            .unwrap_or_else(|_| docker(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]));
        let engine = host.strip_prefix("unix://").expect("the tests' engine listens on a socket").into();
        let socket = world.root().join("engine.sock");
        world.set("DOCKER_HOST", format!("unix://{}", socket.display()));
        let shared = Arc::new(Shared { engine, state: Mutex::default(), changed: Condvar::new() });
        let gate = Self { socket, shared };
        gate.open();
        gate
    }

    /// Lets the engine be reached.
    ///
    /// # Panics
    /// When the socket cannot be made.
    pub fn open(&self) {
        let listener = UnixListener::bind(&self.socket).expect("a socket");
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.pass(stream));
            }
        });
    }

    /// Takes the engine away: nothing listens any more, and every conversation breaks off.
    ///
    /// # Panics
    /// When it is away already.
    pub fn close(&self) {
        std::fs::remove_file(&self.socket).expect("the gate is open");
        let mut state = self.shared.lock();
        for stream in state.open.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        state.rule = None;
        state.is_held = false;
        self.shared.changed.notify_all();
    }

    /// Holds the next request whose line begins with `method` and contains `path`.
    pub fn hold(&self, method: &str, path: &str, moment: Moment) {
        let mut state = self.shared.lock();
        state.rule = Some((method.to_owned(), path.to_owned(), moment));
        state.is_held = false;
    }

    /// Lets the engine hear another name wherever a request's line has this one.
    pub fn rename(&self, name: &str, other: &str) {
        self.shared.lock().names.push((name.to_owned(), other.to_owned()));
    }

    /// Waits until the request is held.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait_held(&self) {
        let state = self.shared.lock();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, ARRIVAL, |state| !state.is_held)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(state.is_held, "no request like {:?} came", state.rule);
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        let mut state = self.shared.lock();
        state.rule = None;
        state.is_held = false;
        self.shared.changed.notify_all();
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while what is held is held.
    fn wait(&self) {
        let mut state = self.lock();
        state.is_held = true;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| state.is_held).unwrap_or_else(PoisonError::into_inner));
    }

    fn rule_for(&self, bytes: &[u8]) -> Option<Moment> {
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let state = self.lock();
        let (method, path, moment) = state.rule.as_ref()?;
        (line.starts_with(method.as_str()) && line.contains(path.as_str())).then_some(*moment)
    }

    /// The bytes as the engine is to have them. A client writes a request's line in one piece with what follows, so it
    /// stands at the beginning or not at all.
    fn renamed<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let state = self.lock();
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap_or_default();
        let Ok(line) = std::str::from_utf8(&bytes[..end]) else { return bytes.into() };
        if state.names.is_empty() || !line.ends_with(" HTTP/1.1") {
            return bytes.into();
        }
        let line = state.names.iter().fold(line.to_owned(), |line, (name, other)| line.replace(name, other));
        [line.as_bytes(), &bytes[end..]].concat().into()
    }

    fn pass(self: &Arc<Self>, client: UnixStream) {
        let Ok(engine) = UnixStream::connect(&self.engine) else { return };
        let (Ok(mut from_engine), Ok(to_client)) = (engine.try_clone(), client.try_clone()) else { return };
        self.lock().open.extend([&client, &engine].into_iter().filter_map(|stream| stream.try_clone().ok()));
        let is_answer_held = Arc::new(AtomicBool::new(false));
        let (shared, held) = (Arc::clone(self), Arc::clone(&is_answer_held));
        std::thread::spawn(move || {
            copy(&mut from_engine, to_client, |bytes| {
                if held.swap(false, Ordering::SeqCst) {
                    shared.wait();
                }
                bytes.into()
            });
        });
        let mut client = client;
        copy(&mut client, engine, |bytes| {
            match self.rule_for(bytes) {
                Some(Moment::Before) => self.wait(),
                Some(Moment::After) => is_answer_held.store(true, Ordering::SeqCst),
                None => {}
            }
            self.renamed(bytes)
        });
    }
}

/// Copies until one side ends, and passes that end on.
fn copy(from: &mut UnixStream, mut to: UnixStream, mut look: impl FnMut(&[u8]) -> Cow<'_, [u8]>) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&look(&buffer[..length])).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}
