//! The program `boxwood`, run as people run it.
#![cfg(unix)]

mod credentials;
#[expect(dead_code, reason = "the client's own tests use the rest of it")]
#[path = "../../../client/tests/it/fake.rs"]
mod fake;
mod program;
mod questions;
mod session;
mod terminal;
