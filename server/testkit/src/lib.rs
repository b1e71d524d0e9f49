//! Stand-ins that tests talk to as if they were the real thing.

#[cfg(unix)]
pub mod docker;
