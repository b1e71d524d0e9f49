//! What every verb needs: the flags that all share, the screen, and the way to the daemon.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use boxwood_client::{Connection, Launcher};
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::{ErrorCode, Event, Method, RpcError};

use crate::args::{GlobalArguments, TargetArguments};
use crate::interrupt::Interrupt;
use crate::output::Screen;
use crate::output::progress::{PATIENCE, Progress};

/// Name of this client in the daemon's log.
const CLIENT: &str = "cli";

/// What this program is called where it is installed.
const NAME: &str = "boxwood";

/// How this program is called in another terminal: by its name where that leads here, else by its path.
pub(crate) fn program() -> String {
    let Ok(this) = std::env::current_exe() else { return NAME.to_owned() };
    let is_this = |path: PathBuf| path.canonicalize().is_ok_and(|path| path == this);
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|directory| directory.join(NAME)).find(|file| file.is_file())
    });
    if on_path.is_some_and(is_this) {
        return NAME.to_owned();
    }
    let path = this.display().to_string();
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if is_plain { path } else { format!("\"{path}\"") }
}

/// The surroundings of a verb.
pub(crate) struct Context {
    pub(crate) global: GlobalArguments,
    pub(crate) screen: Screen,
}

impl Context {
    /// A connection to the daemon, which is started if need be.
    pub(crate) async fn connect(&self) -> Result<Connection, RpcError> {
        self.launcher()?.connect().await
    }

    /// A connection to the daemon if one runs.
    pub(crate) async fn connect_running(&self) -> Result<Option<Connection>, RpcError> {
        self.launcher()?.connect_running().await
    }

    /// Finds and starts the daemon.
    pub(crate) fn launcher(&self) -> Result<Launcher, RpcError> {
        Launcher::new(CLIENT)
    }

    /// The project that is meant: `--project`, else the current directory.
    pub(crate) fn project(&self) -> Result<String, RpcError> {
        self.project_at(self.global.project.as_deref())
    }

    /// The project at `directory`, else the current directory, as an absolute path.
    pub(crate) fn project_at(&self, directory: Option<&Path>) -> Result<String, RpcError> {
        let path = match directory {
            Some(directory) => std::path::absolute(directory),
            None => std::env::current_dir(),
        };
        let invalid = |message: String| RpcError::new(ErrorCode::ProjectInvalid, message);
        let path: PathBuf =
            path.map_err(|error| invalid("cannot tell the project directory".into()).caused_by(error))?;
        path.into_os_string()
            .into_string()
            .map_err(|path| invalid(format!("the path {} is not valid UTF-8", path.display())))
    }

    /// The sandbox that is meant: the given one, else the project's.
    pub(crate) fn target(&self, target: TargetArguments) -> Result<SandboxRef, RpcError> {
        let session = self.global.session.clone();
        Ok(match target.sandbox {
            Some(sandbox) => SandboxRef { sandbox: Some(sandbox), project: None, session },
            None => SandboxRef { sandbox: None, project: Some(self.project()?), session },
        })
    }

    /// Runs an operation to its end, showing its progress to whoever may want to see it. Ctrl-C cancels it.
    pub(crate) async fn run<M: Method<Result = OperationStarted>>(
        &self,
        connection: &Connection,
        params: &M::Params,
    ) -> Result<M::Outcome, RpcError> {
        self.run_showing::<M>(connection, params, false).await
    }

    /// As [`Self::run`]; `are_lines_wanted` when the operation's output is what the person waits for.
    pub(crate) async fn run_showing<M: Method<Result = OperationStarted>>(
        &self,
        connection: &Connection,
        params: &M::Params,
        are_lines_wanted: bool,
    ) -> Result<M::Outcome, RpcError> {
        let interrupt = Interrupt::cancelling(self.screen)?;
        if self.screen.json {
            return connection.run_quietly::<M>(params, interrupt.cancel()).await;
        }
        let progress = RefCell::new(Progress::new(self.screen, are_lines_wanted));
        let result = {
            let on_event = |event: &Event| progress.borrow_mut().on_event(event);
            let mut running = std::pin::pin!(connection.run::<M>(params, interrupt.cancel(), on_event));
            tokio::select! {
                result = &mut running => result,
                () = tokio::time::sleep(PATIENCE) => {
                    progress.borrow_mut().reveal();
                    running.await
                }
            }
        };
        let is_failure = result.as_ref().is_err_and(|error| error.code != ErrorCode::Cancelled);
        progress.into_inner().finish(is_failure);
        result
    }
}
