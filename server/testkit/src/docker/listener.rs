//! Where the engine is knocked at: a Unix socket, or a named pipe on Windows.

#[cfg(unix)]
mod system {
    use std::io;
    use std::path::Path;

    use tokio::net::{UnixListener, UnixStream};

    pub(in super::super) struct Listener(UnixListener);

    impl Listener {
        pub(in super::super) fn bind(socket: &Path) -> io::Result<Self> {
            UnixListener::bind(socket).map(Self)
        }

        pub(in super::super) async fn accept(&mut self) -> io::Result<UnixStream> {
            self.0.accept().await.map(|(stream, _)| stream)
        }
    }

    pub(in super::super) fn host(socket: &Path) -> String {
        format!("unix://{}", socket.display())
    }

    /// Removes what a listener that is gone left behind.
    pub(in super::super) fn tidy(socket: &Path) -> io::Result<()> {
        std::fs::remove_file(socket)
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::path::Path;

    use tokio::net::windows::named_pipe::{NamedPipeServer, PipeMode, ServerOptions};

    /// Pipes are in no directory: the socket's own, which nobody else has, gives the name.
    fn name(socket: &Path) -> String {
        let directory = socket.parent().and_then(Path::file_name).unwrap_or_default();
        format!("{}-engine", directory.to_string_lossy())
    }

    /// As engines make theirs: a message without content ends what is sent.
    fn options() -> ServerOptions {
        let mut options = ServerOptions::new();
        options.pipe_mode(PipeMode::Message);
        options
    }

    pub(in super::super) struct Listener {
        path: String,
        next: NamedPipeServer,
    }

    impl Listener {
        pub(in super::super) fn bind(socket: &Path) -> io::Result<Self> {
            let path = format!(r"\\.\pipe\{}", name(socket));
            let next = options().first_pipe_instance(true).create(&path)?;
            Ok(Self { path, next })
        }

        pub(in super::super) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
            self.next.connect().await?;
            let next = options().create(&self.path)?;
            Ok(std::mem::replace(&mut self.next, next))
        }
    }

    pub(in super::super) fn host(socket: &Path) -> String {
        format!("npipe:////./pipe/{}", name(socket))
    }

    /// A pipe goes with its last end.
    pub(in super::super) fn tidy(_socket: &Path) -> io::Result<()> {
        Ok(())
    }
}

pub(super) use system::{Listener, host, tidy};
