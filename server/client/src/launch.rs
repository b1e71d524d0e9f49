//! Finding the daemon, starting it, and having a newer one take over.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, PipeReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use boxwood_core::paths::Paths;
use boxwood_protocol::contract::{Hello, StopDaemon};
use boxwood_protocol::credentials::ENVIRONMENT;
use boxwood_protocol::params::{DaemonStopParams, HelloParams};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::build::{Build, Verdict};
use crate::connection::{CallError, Connection, Unintroduced};
use crate::{log, ready, transport};

/// How long a new daemon may take to listen. It repairs what a predecessor left half done only afterwards.
const STARTING: Duration = Duration::from_secs(30);

/// How long a replaced daemon may take to leave.
const LEAVING: Duration = Duration::from_secs(15);

/// A daemon that leaves just now is met at most so often in a row.
const ATTEMPTS: u32 = 5;

/// Most of the last words of a failed daemon that are repeated, bytes.
const LAST_WORDS: u64 = 2048;

/// Connects a client to the daemon of this user.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// Where the socket, its lock and the log are.
    pub paths: Paths,
    /// Name of the client, for the daemon's log.
    pub client: String,
    /// What this client is, to compare with the daemon.
    pub build: Build,
    /// Program that is the daemon.
    pub program: PathBuf,
    /// Arguments that make it one.
    pub arguments: Vec<OsString>,
}

/// What came of looking for a daemon.
enum Found {
    Fit(Connection),
    Outdated(Connection),
    /// Nobody listens, or only one that is about to leave.
    Nobody,
}

impl Launcher {
    /// For this program, which is its own daemon, and this process's environment.
    ///
    /// # Errors
    ///
    /// When the system does not say which program this is.
    pub fn new(client: &str) -> Result<Self, RpcError> {
        let program = std::env::current_exe().map_err(|error| {
            RpcError::new(ErrorCode::DaemonUnavailable, "cannot tell which program this is").caused_by(error)
        })?;
        Ok(Self {
            paths: crate::paths(),
            client: client.to_owned(),
            build: Build::current(),
            program,
            arguments: ["daemon", "--ready-fd", "1"].map(OsString::from).to_vec(),
        })
    }

    /// A connection to the daemon, which is started if need be, or replaced if this program is newer.
    ///
    /// # Errors
    ///
    /// When it cannot be started or reached, or is newer and speaks another protocol.
    pub async fn connect(&self) -> Result<Connection, RpcError> {
        if let Found::Fit(connection) = self.find().await? {
            return Ok(connection);
        }
        transport::prepare(&self.paths)?;
        // Held until the new daemon listens: of two clients, the second finds the daemon of the first.
        let _lock = self.lock("start.lock").await?;
        for _ in 0..ATTEMPTS {
            match self.find().await? {
                Found::Fit(connection) => return Ok(connection),
                Found::Outdated(connection) => {
                    if let Some(kept) = self.replace(connection).await? {
                        return Ok(kept);
                    }
                }
                Found::Nobody => {}
            }
            self.daemon_is_gone().await?;
            self.start().await?;
        }
        Err(RpcError::new(ErrorCode::DaemonUnavailable, "the daemon starts but does not stay"))
    }

    /// A connection to the daemon that runs, whatever its age; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When there is one that cannot be talked to.
    pub async fn connect_running(&self) -> Result<Option<Connection>, RpcError> {
        Ok(match self.find().await? {
            Found::Fit(connection) | Found::Outdated(connection) => Some(connection),
            Found::Nobody => None,
        })
    }

    async fn find(&self) -> Result<Found, RpcError> {
        let Some(stream) = transport::open(&self.paths).await? else {
            return Ok(Found::Nobody);
        };
        let opened = match Connection::open(stream).await {
            Ok(opened) => opened,
            Err(error) => {
                tracing::debug!(%error, "a daemon listens but does not talk");
                return Ok(Found::Nobody);
            }
        };
        let params = HelloParams {
            client: self.client.clone(),
            version: self.build.version.clone(),
            protocol: self.build.protocol,
        };
        let daemon = match opened.call::<Hello>(&params).await {
            Ok(daemon) => daemon,
            Err(CallError::Lost(cause)) => {
                tracing::debug!(cause, "a daemon listens but does not answer");
                return Ok(Found::Nobody);
            }
            Err(error) => return self.meet_stranger(opened, error).await,
        };
        match self.build.judge(&daemon) {
            Verdict::Use => Ok(Found::Fit(opened.introduced(daemon))),
            Verdict::Replace => Ok(Found::Outdated(opened.introduced(daemon))),
            Verdict::Refuse => Err(RpcError::new(
                ErrorCode::DaemonVersion,
                format!(
                    "the daemon is version {} with protocol {}, and this is version {} with protocol {}",
                    daemon.version, daemon.protocol, self.build.version, self.build.protocol
                ),
            )
            .hint(format!("update this program to version {}, or run 'boxwood daemon stop' with it", daemon.version))),
        }
    }

    /// The daemon refuses the handshake. It is on its way out, or too different to introduce itself.
    async fn meet_stranger(&self, opened: Unintroduced, error: CallError) -> Result<Found, RpcError> {
        let error = RpcError::from(error);
        if error.code != ErrorCode::DaemonBusy {
            return Err(error);
        }
        self.leaves(opened.closed()).await?;
        Ok(Found::Nobody)
    }

    /// Has an older daemon leave. One with work to do stays, and is used if it speaks the same protocol.
    async fn replace(&self, connection: Connection) -> Result<Option<Connection>, RpcError> {
        tracing::info!(daemon = connection.daemon().build, own = self.build.id(), "a newer version takes over");
        match connection.call::<StopDaemon>(&DaemonStopParams { force: false }).await {
            Ok(_) => {}
            Err(error) if error.code == ErrorCode::DaemonBusy => {
                let is_usable = connection.daemon().protocol == self.build.protocol;
                return if is_usable { Ok(Some(connection)) } else { Err(error) };
            }
            // It may have left before its answer was out.
            Err(error) if error.code == ErrorCode::DaemonUnavailable => {}
            Err(error) => return Err(error),
        }
        self.leaves(connection.closed()).await?;
        Ok(None)
    }

    async fn leaves(&self, closed: impl Future<Output = ()>) -> Result<(), RpcError> {
        tokio::time::timeout(LEAVING, closed).await.map_err(|_| {
            RpcError::new(
                ErrorCode::DaemonBusy,
                format!("the daemon said it would leave and is still there after {} seconds", LEAVING.as_secs()),
            )
        })
    }

    /// Waits until no daemon is left. A daemon holds its lock as long as it lives; one that has closed its connections
    /// may still be at its last acts, and the next could not begin.
    ///
    /// # Errors
    ///
    /// When one is there that does not leave.
    pub async fn daemon_is_gone(&self) -> Result<(), RpcError> {
        match tokio::time::timeout(LEAVING, self.lock("daemon.lock")).await {
            Ok(locked) => locked.map(drop),
            Err(_) => Err(RpcError::new(ErrorCode::DaemonUnavailable, "a daemon is there and does not answer")
                .hint(format!("end the process that holds {}", self.paths.runtime.join("daemon.lock").display()))),
        }
    }

    async fn lock(&self, name: &str) -> Result<File, RpcError> {
        let path = self.paths.runtime.join(name);
        let failed = |error: &dyn std::fmt::Display, path: &Path| {
            RpcError::new(ErrorCode::DaemonUnavailable, format!("could not lock {}", path.display())).caused_by(error)
        };
        let file = log::open_private(&path).map_err(|error| failed(&error, &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::Error(error)) => Err(failed(&error, &path)),
            // Whoever holds it starts the daemon and lets go; the system wakes us.
            Err(TryLockError::WouldBlock) => tokio::task::spawn_blocking(move || {
                let locked = file.lock();
                locked.map(|()| file).map_err(|error| failed(&error, &path))
            })
            .await
            .map_err(|error| RpcError::new(ErrorCode::Internal, "waiting for a lock failed").caused_by(error))?,
        }
    }

    async fn start(&self) -> Result<(), RpcError> {
        let failed = |error: &dyn std::fmt::Display| {
            RpcError::new(ErrorCode::DaemonUnavailable, format!("could not start {}", self.program.display()))
                .caused_by(error)
        };
        let (reader, writer) = io::pipe().map_err(|error| failed(&error))?;
        let mut last_words = self.last_words_file();
        let stderr = last_words.as_ref().and_then(|file| file.try_clone().ok()).map_or_else(Stdio::null, Stdio::from);
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(writer).stderr(stderr);
        // Credentials of the client that started the daemon must not live on in it, nor what says where they are for; each
        // request brings its own.
        for variable in ENVIRONMENT {
            command.env_remove(variable.name);
        }
        detach(&mut command);
        let child = command.spawn().map_err(|error| failed(&error))?;
        // The command holds the writing end, which would keep a failed daemon's silence from being noticed.
        drop(command);
        let report = tokio::time::timeout(STARTING, first_line(reader)).await;
        // Letting go of the child leaves it running; the runtime reaps it if it ends before this process does.
        drop(child);
        match report {
            Ok(Ok(line)) => match ready::read(&line) {
                Some(report) => report,
                None => Err(self.ended_silently(last_words.as_mut())),
            },
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&format!("it does not listen after {} seconds", STARTING.as_secs()))),
        }
    }

    /// Where a daemon complains before it has a log.
    fn last_words_file(&self) -> Option<File> {
        let directory = self.paths.log_dir();
        std::fs::create_dir_all(&directory).ok()?;
        let path = directory.join("daemon.stderr");
        log::open_private(&path).ok()?.set_len(0).ok()?;
        std::fs::OpenOptions::new().read(true).append(true).open(path).ok()
    }

    fn ended_silently(&self, last_words: Option<&mut File>) -> RpcError {
        let said = last_words.and_then(|file| {
            let mut said = String::new();
            file.seek(SeekFrom::Start(0)).ok()?;
            file.take(LAST_WORDS).read_to_string(&mut said).ok()?;
            Some(said.trim().to_owned()).filter(|said| !said.is_empty())
        });
        let error = RpcError::new(ErrorCode::DaemonUnavailable, "the daemon ended before it listened");
        match said {
            Some(said) => error.caused_by(said),
            None => error.hint(format!("its log is in {}", self.paths.log_dir().display())),
        }
    }
}

#[cfg(unix)]
async fn first_line(reader: PipeReader) -> io::Result<String> {
    use tokio::io::AsyncBufReadExt as _;
    let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
    let mut line = String::new();
    tokio::io::BufReader::new(reader).read_line(&mut line).await?;
    Ok(line)
}

#[cfg(windows)]
async fn first_line(reader: PipeReader) -> io::Result<String> {
    use std::io::BufRead as _;
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        io::BufReader::new(reader).read_line(&mut line).map(|_| line)
    });
    read.await.map_err(io::Error::other)?
}

/// The daemon outlives its starter: it holds no directory, and (by itself, as its first act) no terminal.
#[cfg(unix)]
fn detach(command: &mut tokio::process::Command) {
    command.current_dir("/");
}

#[cfg(windows)]
fn detach(command: &mut tokio::process::Command) {
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    crate::handles::keep_streams();
    if let Some(system) = std::env::var_os("SystemRoot") {
        command.current_dir(system);
    }
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}
