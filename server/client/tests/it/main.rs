//! The client against a daemon that is started, replaced, busy, broken or gone.
#![cfg(unix)]

#[expect(dead_code, reason = "the tests of the clients use the rest of it")]
mod fake;
mod fifo;
mod operations;
mod starting;
mod takeover;

use std::path::Path;

use boxwood_client::{Build, Launcher};
use boxwood_core::paths::Paths;
use boxwood_protocol::PROTOCOL_VERSION;

/// Directories of a test of its own.
pub(crate) fn paths_in(base: &Path) -> Paths {
    Paths::resolve(
        &|name| match name {
            "BOXWOOD_RUNTIME_DIR" => Some(base.join("run").display().to_string()),
            "BOXWOOD_STATE_DIR" => Some(base.join("state").display().to_string()),
            _ => None,
        },
        boxwood_client::transport::user(),
    )
}

/// A client of version 1.0.0 whose daemon is a shell script.
pub(crate) fn launcher(base: &Path, script: &str) -> Launcher {
    Launcher {
        paths: paths_in(base),
        client: "test".to_owned(),
        build: Build { version: "1.0.0".to_owned(), protocol: PROTOCOL_VERSION, changed: 5 },
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
    }
}
