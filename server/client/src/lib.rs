//! How the command line and the language server reach the daemon.
//!
//! [`Launcher`] finds the daemon's socket, starts the daemon when nothing listens, and has a newer one take over from
//! an older. [`Connection`] calls the methods of the contract and follows operations. What daemon and clients must do
//! alike stands here too: the [`build`](mod@build) id, the [`ready`] line, and the [`log`] file.

pub mod build;
pub mod connection;
#[cfg(windows)]
mod handles;
pub mod launch;
pub mod log;
pub mod operation;
pub mod ready;
pub mod transport;

pub use build::{Build, build_id};
pub use connection::{CallError, Connection, Subscription};
pub use launch::Launcher;
pub use operation::Cancel;

use boxwood_core::paths::Paths;

/// The product's directories, from this process's environment.
#[must_use]
pub fn paths() -> Paths {
    Paths::resolve(&|name| std::env::var(name).ok(), transport::user())
}
