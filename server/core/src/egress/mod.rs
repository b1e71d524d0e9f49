//! What a sandbox may reach: names and addresses, rules, the policy made of all layers, the verdict on a connection.
//!
//! The daemon makes a policy out of settings and decisions ([`policy`]), the gateway asks it about every connection and
//! every request ([`judge`]). Both use the same normal forms of hosts ([`host`]) and paths ([`path`]), so that no
//! spelling of a name gets past a rule about it.

pub mod address;
pub mod endpoint;
mod explain;
pub mod host;
pub mod judge;
pub mod narrowed;
pub mod path;
pub mod pattern;
pub mod plain;
pub mod policy;
pub mod presets;
pub mod rule;
pub mod settings;

pub use address::is_private;
pub use endpoint::{ENDPOINT_NAME, Endpoint, EndpointError, endpoint};
pub use host::{Host, HostError};
pub use judge::{Compiled, Judged, Query, Requests};
pub use narrowed::narrowed;
pub use pattern::{Pattern, PatternError, Target};
pub use policy::{Decided, EgressLayers};
pub use presets::presets;
pub use rule::{RuleError, rule_text};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
