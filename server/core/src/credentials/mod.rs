//! Claude's credentials: reading and projecting its credential file, choosing a source and a mode, what a sandbox and its
//! gateway get, what is removed again, when something must be renewed, and how all that is told to the person.
//!
//! Everything is decided from values that the daemon read before. No type here shows a credential: what holds one is
//! a [`Secret`] or a [`CredentialFile`], and neither has a `Display` or a telling `Debug`.

pub mod environment;
pub mod expiry;
pub mod file;
pub mod host;
pub mod provision;
pub mod select;
pub mod source;
pub mod status;
pub mod stored;
pub mod sync;
pub mod view;

pub use boxwood_protocol::credentials::Secret;
pub use file::{CredentialFile, FileError};
pub use view::{AccountId, Clock, Fingerprint, LoginState, Sameness, View};

#[cfg(test)]
mod testing;
