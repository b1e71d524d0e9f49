//! Where credentials are kept and found on the host. Deciding which one is used is `boxwood_core::credentials`' part; here is
//! what that needs files, programs and the keyring for.
//!
//! - [`gather::Sources`] looks at every source at once and says what is there; [`gather::Gathered::material`] gives what the
//!   chosen one holds, and only then runs a command where there is one to be run.
//! - [`store::Kept`] keeps what a person gave to Boxwood: in the system's keyring, or in a file where there is none.
//! - [`host::Claude`] is Claude Code on this machine: where its files are, whose login it has.
//! - [`locks::take`] takes Claude Code's own locks, without which nobody may write beside it.
//!
//! `BOXWOOD_KEYRING=file` in the daemon's environment has it keep everything in files and never look at the keyring, for
//! machines on which nobody can unlock one, and for tests.
//!
//! Values are [`Secret`](boxwood_core::credentials::Secret)s. They are given to programs on standard input, never in
//! arguments or the environment, and no error repeats what a program or a file said about one.

pub(crate) mod gather;
mod guarded;
mod helper;
pub(crate) mod host;
mod keychain;
pub(crate) mod locks;
pub(crate) mod process;
pub(crate) mod store;
