//! The one declaration of what clients may ask the daemon and what it tells them.
//!
//! Methods, parameters, results, events and errors stand here and nowhere else: the daemon registers
//! [`contract::METHODS`], the Rust client calls through [`Method`], and the TypeScript types and the protocol
//! reference are generated from the same items by the `generate` binary. This crate does no input or output.

pub mod catalog;
pub mod config;
pub mod contract;
pub mod credentials;
pub mod egress;
pub mod error;
pub mod event;
pub mod gateway;
pub mod generate;
pub mod git;
pub mod login;
pub mod operation;
pub mod params;
pub mod sandbox;

pub use contract::{METHODS, Method, MethodInfo};
pub use error::{Action, ErrorCode, RpcError};
pub use event::Event;

/// Version of the contract. Raised when a method, a field or the meaning of either changes incompatibly;
/// the handshake compares it before anything else is asked.
pub const PROTOCOL_VERSION: u32 = 1;

/// Name of the notification that carries an [`Event`] to an editor, and of the subscription's messages.
pub const EVENT_METHOD: &str = "boxwood/event";

/// Method that opens the event subscription on the daemon's socket.
pub const SUBSCRIBE_METHOD: &str = "boxwood/events/subscribe";

/// Method that closes the event subscription.
pub const UNSUBSCRIBE_METHOD: &str = "boxwood/events/unsubscribe";

/// Prefix of every method of the product; a relay passes on whatever begins with it.
pub const NAMESPACE: &str = "boxwood/";

/// Largest request, in bytes, that the daemon and the language server accept.
pub const MAX_REQUEST_BYTES: u32 = 4 * 1024 * 1024;
