//! The person's SSH agent in a sandbox, when they want it there.
//!
//! On Linux the daemon listens in a directory that the sandbox has, and passes on what is said to the agent of the moment:
//! an agent that went away or came back changes nothing about the container, and a container whose agent is gone still
//! starts. Docker Desktop on macOS has a socket of its own that leads to the agent of the Mac.

use boxwood_engine::{ContainerDetail, Mount};
use tokio_util::sync::CancellationToken;

use crate::daemon::Daemon;
use crate::error::Result;

/// Where the socket is inside.
pub(super) const SOCKET: &str = "/run/boxwood/ssh-agent.sock";
/// The directory that it is in.
#[cfg(target_os = "linux")]
const DIRECTORY: &str = "/run/boxwood";
/// The socket that Docker Desktop offers.
#[cfg(target_os = "macos")]
const DESKTOP: &str = "/run/host-services/ssh-auth.sock";

/// Whether a container was made with the agent.
pub(super) fn is_mounted(detail: &ContainerDetail) -> bool {
    detail.mounts.iter().any(|mount| matches!(mount, Mount::Bind { target, .. } if SOCKET.starts_with(target.as_str()) && target.starts_with("/run/boxwood")))
}

#[cfg(target_os = "linux")]
mod relay {
    use std::os::fd::AsRawFd as _;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use tokio::io::copy_bidirectional;
    use tokio::net::{UnixListener, UnixStream};

    use super::{CancellationToken, DIRECTORY, Daemon, Mount, Result};
    use crate::{error, files};

    /// Name of the socket in its directory.
    const NAME: &str = "ssh-agent.sock";

    fn directory(daemon: &Daemon, sandbox: &str) -> PathBuf {
        daemon.paths.sandbox(sandbox).join("agent")
    }

    pub(crate) fn mount(daemon: &Daemon, sandbox: &str) -> Option<Mount> {
        let source = directory(daemon, sandbox).to_string_lossy().into_owned();
        Some(Mount::Bind { source, target: DIRECTORY.to_owned(), read_only: true })
    }

    /// Makes the directory; says what is wrong with the agent, if something is.
    pub(crate) async fn prepare(daemon: &Daemon, sandbox: &str) -> Result<Option<String>> {
        files::private_directory(&directory(daemon, sandbox))?;
        let Some(agent) = &daemon.git.agent else {
            return Ok(Some(
                "there is no SSH agent to ask: SSH_AUTH_SOCK was not set when Boxwood's daemon started; start an agent, \
                 then 'boxwood daemon stop' and try again"
                    .to_owned(),
            ));
        };
        Ok(UnixStream::connect(agent).await.err().map(|cause| {
            format!(
                "the SSH agent at {} does not answer ({cause}): start it anew there, or 'boxwood daemon stop' from a \
                 terminal whose SSH_AUTH_SOCK is right and try again",
                agent.display()
            )
        }))
    }

    /// Listens until the token is cancelled.
    pub(crate) fn serve(daemon: &Arc<Daemon>, sandbox: &str, token: &CancellationToken) {
        let Some(agent) = daemon.git.agent.clone() else { return };
        let directory = directory(daemon, sandbox);
        match bind(&directory) {
            Ok(listener) => {
                let token = token.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = token.cancelled() => {}
                        () = accept(listener, agent) => {}
                    }
                });
            }
            Err(problem) => tracing::warn!(sandbox, %problem, "the SSH agent cannot be asked from inside"),
        }
    }

    /// Listens in a directory whose path may be longer than an address can be.
    pub(super) fn bind(directory: &Path) -> Result<UnixListener> {
        let path = directory.join(NAME);
        files::remove(&path)?;
        let failed = |cause: std::io::Error| error::file("listen on", &path, &cause);
        let opened = std::fs::File::open(directory).map_err(failed)?;
        // The directory is the person's alone, so nobody else reaches the socket in it.
        UnixListener::bind(format!("/proc/self/fd/{}/{NAME}", opened.as_raw_fd())).map_err(failed)
    }

    pub(super) async fn accept(listener: UnixListener, agent: PathBuf) {
        while let Ok((mut inside, _)) = listener.accept().await {
            let agent = agent.clone();
            tokio::spawn(async move {
                // One that is gone is a closed connection to whoever asks.
                if let Ok(mut outside) = UnixStream::connect(&agent).await {
                    let _ = copy_bidirectional(&mut inside, &mut outside).await;
                }
            });
        }
    }
}
#[cfg(target_os = "linux")]
pub(super) use relay::{mount, prepare, serve};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::sync::Arc;

    use super::{CancellationToken, Daemon, Mount, Result};

    #[cfg(target_os = "macos")]
    pub(crate) fn mount(_: &Daemon, _: &str) -> Option<Mount> {
        Some(Mount::Bind { source: super::DESKTOP.to_owned(), target: super::SOCKET.to_owned(), read_only: true })
    }

    #[cfg(not(target_os = "macos"))]
    pub(crate) fn mount(_: &Daemon, _: &str) -> Option<Mount> {
        None
    }

    pub(crate) async fn prepare(_: &Daemon, _: &str) -> Result<Option<String>> {
        let problem = "the SSH agent of Windows cannot be asked from a sandbox; start Boxwood in WSL, where it can";
        Ok(cfg!(windows).then(|| problem.to_owned()))
    }

    pub(crate) fn serve(_: &Arc<Daemon>, _: &str, _: &CancellationToken) {}
}
#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{mount, prepare, serve};

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    use super::relay::{accept, bind};

    #[tokio::test]
    async fn what_is_said_reaches_the_agent_of_the_moment() {
        let directory = tempfile::tempdir().expect("a directory");
        // Longer than the address of a socket can be.
        let long = directory.path().join("x".repeat(120));
        std::fs::create_dir(&long).expect("made");
        let listener = bind(&long).expect("bound");
        let agent = directory.path().join("agent");
        tokio::spawn(accept(listener, agent.clone()));
        let connect = || {
            let opened = std::fs::File::open(&long).expect("there");
            async move {
                use std::os::fd::AsRawFd as _;
                let path = format!("/proc/self/fd/{}/ssh-agent.sock", opened.as_raw_fd());
                UnixStream::connect(path).await.expect("connected")
            }
        };
        let mut text = String::new();
        connect().await.read_to_string(&mut text).await.expect("closed");
        assert_eq!(text, "", "there is no agent yet");
        let server = UnixListener::bind(&agent).expect("an agent");
        let mut client = connect().await;
        client.write_all(b"question").await.expect("written");
        let (mut asked, _) = server.accept().await.expect("asked");
        let mut question = [0; 8];
        asked.read_exact(&mut question).await.expect("read");
        asked.write_all(&question).await.expect("answered");
        drop(asked);
        client.read_to_string(&mut text).await.expect("an answer");
        assert_eq!(text, "question");
    }
}
