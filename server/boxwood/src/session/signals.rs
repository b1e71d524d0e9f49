//! Signals: what this process is told, the command in the sandbox is told.
//!
//! An engine has no call for that. The command carries a marker in its environment, and a second command finds it by
//! the marker; only the process that the engine itself started is meant, not what that started in turn.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use boxwood_engine::{Engine, ExecSpec};
use boxwood_protocol::params::AttachTarget;
use futures::StreamExt as _;

/// Name of the marking variable.
const VARIABLE: &str = "BOXWOOD_EXEC";

/// An engine that does not answer must not keep a process that was told to end.
const DELIVERY: Duration = Duration::from_secs(3);

/// Shell of the runtime volume; the image may have none.
pub(super) const SHELL: &str = "/opt/boxwood/bin/bash";

/// Arguments: the marker, the signal. A process that the engine started has no parent inside.
const SCRIPT: &str = r#"
for p in /proc/[0-9]*; do
  [[ $(<"$p/status") =~ PPid:[[:space:]]+0[[:space:]] ]] || continue
  while IFS= read -r -d '' e; do
    [[ $e == "$1" ]] && kill -s "$2" "${p#/proc/}"
  done <"$p/environ"
done 2>/dev/null
exit 0
"#;

/// Tells one command from all others in its sandbox.
#[derive(Debug)]
pub(super) struct Marker(String);

impl Marker {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}-{}-{number}", std::process::id(), began.as_nanos()))
    }

    pub(super) fn as_variable(&self) -> String {
        format!("{VARIABLE}={}", self.0)
    }
}

/// The command and the way to it.
pub(super) struct Sandbox<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) target: &'a AttachTarget,
    pub(super) exec_id: &'a str,
    pub(super) marker: &'a Marker,
}

impl Sandbox<'_> {
    /// Sends a signal to the command. Whether it arrives shows in what the command does.
    pub(super) async fn send(&self, signal: &str) {
        let command = [SHELL, "-c", SCRIPT, "boxwood-signal", &self.marker.as_variable(), signal];
        let spec = ExecSpec {
            command: command.map(str::to_owned).to_vec(),
            user: self.target.user.clone(),
            workdir: "/".to_owned(),
            ..ExecSpec::default()
        };
        let delivery = async {
            match self.engine.exec(&self.target.container_id, &spec).await {
                Ok(mut running) => while running.output.next().await.is_some() {},
                Err(error) => tracing::debug!(%error, signal, "the signal could not be passed on"),
            }
        };
        if tokio::time::timeout(DELIVERY, delivery).await.is_err() {
            tracing::debug!(signal, "the engine is too slow to pass on the signal");
        }
    }

    /// Tells the command's terminal how large this one is.
    async fn fit(&self) {
        if let Some((columns, rows)) = super::terminal::size()
            && let Err(error) = self.engine.resize_exec(self.exec_id, columns, rows).await
        {
            tracing::debug!(%error, "the terminal's size could not be passed on");
        }
    }
}

#[cfg(unix)]
pub(super) use unix::Signals;
#[cfg(windows)]
pub(super) use windows::Signals;

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::{Sandbox, io};

    /// The signals that reach this process.
    pub(crate) struct Signals {
        is_terminal: bool,
        window: Signal,
        interrupt: Signal,
        quit: Signal,
        terminate: Signal,
        hang_up: Signal,
    }

    impl Signals {
        pub(crate) fn watch(is_terminal: bool) -> io::Result<Self> {
            Ok(Self {
                is_terminal,
                window: signal(SignalKind::window_change())?,
                interrupt: signal(SignalKind::interrupt())?,
                quit: signal(SignalKind::quit())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: signal(SignalKind::hangup())?,
            })
        }

        /// Passes signals on. Comes back with an exit status when this process should end without waiting for the
        /// command: its terminal is gone, or it was told twice.
        pub(crate) async fn pass_on(&mut self, sandbox: &Sandbox<'_>) -> u8 {
            if self.is_terminal {
                sandbox.fit().await;
            }
            let mut told = None;
            loop {
                let (number, name) = tokio::select! {
                    _ = self.window.recv() => {
                        if self.is_terminal {
                            sandbox.fit().await;
                        }
                        continue;
                    }
                    _ = self.interrupt.recv() => (2, "INT"),
                    _ = self.quit.recv() => (3, "QUIT"),
                    _ = self.terminate.recv() => (15, "TERM"),
                    _ = self.hang_up.recv() => (1, "HUP"),
                };
                // Without its terminal, the command here is of no use: a multiplexer's client hangs up and Claude
                // works on.
                if self.is_terminal {
                    sandbox.send("HUP").await;
                    return 128 + number;
                }
                if told.replace(number) == Some(number) {
                    return 128 + number;
                }
                sandbox.send(name).await;
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use tokio::signal::windows::{CtrlC, ctrl_c};

    use super::{Sandbox, io};

    /// The signals that reach this process.
    pub(crate) struct Signals {
        is_terminal: bool,
        interrupt: CtrlC,
    }

    impl Signals {
        pub(crate) fn watch(is_terminal: bool) -> io::Result<Self> {
            Ok(Self { is_terminal, interrupt: ctrl_c()? })
        }

        /// As on Unix, with the one signal there is.
        pub(crate) async fn pass_on(&mut self, sandbox: &Sandbox<'_>) -> u8 {
            if self.is_terminal {
                sandbox.fit().await;
            }
            self.interrupt.recv().await;
            sandbox.send("INT").await;
            self.interrupt.recv().await;
            130
        }
    }
}
