//! What Boxwood decides: names, configuration, plans, seeds, protected paths, templates.
//!
//! Everything here is a pure function of its arguments: no files, no processes, no network, no clock, no environment.
//! The daemon asks, and does what the answer says.

pub mod config;
pub mod credentials;
pub mod egress;
pub mod git;
pub mod identity;
pub mod labels;
pub mod login;
pub mod mask;
pub mod mounts;
pub mod paths;
pub mod plan;
pub mod protect;
pub mod quantity;
pub mod seed;
pub mod slug;
pub mod template;

use sha2::{Digest, Sha256};

/// SHA-256 of `parts`, each preceded by its length so that no two lists collide, as lower-case hexadecimal.
#[must_use]
pub fn content_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
