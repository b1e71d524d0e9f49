//! What the tests against a real engine share: isolated worlds, the command line, the engine's own view of things.
//!
//! Nothing of the product is linked in except the contract's types: the tests see what a person or an editor sees.
//! Whatever goes wrong in here panics with what was run and what it said, because that is what a failed test needs.

pub mod api;
pub mod cli;
pub mod docker;
pub mod gate;
pub mod identity;
pub mod identity_host;
pub mod identity_realm;
pub mod internet;
pub mod keyring;
pub mod leaks;
pub mod leaks_places;
pub mod leaks_relay;
pub mod lsp;
pub mod registry;
pub mod rpc;
pub mod terminal;
pub mod wait;
pub mod world;

pub use cli::{Cli, Finished, Running};
pub use wait::until;
pub use world::World;
