//! Stand-ins that tests talk to as if they were the real thing.

pub mod docker;
