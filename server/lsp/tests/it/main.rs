//! The language server between an editor and a daemon that speaks the real protocol.
#![cfg(unix)]

mod editor;
mod events;
#[expect(dead_code, reason = "the client's own tests use the rest of it")]
#[path = "../../../client/tests/it/fake.rs"]
mod fake;
#[path = "../../../client/tests/it/fifo.rs"]
mod fifo;
mod relaying;
mod robustness;

use fake::{FakeDaemon, Identity};

use crate::editor::Editor;

/// A daemon that is there before the editor needs one.
pub(crate) fn daemon_for(editor: &Editor) -> FakeDaemon {
    FakeDaemon::listen(&editor.launcher.paths, Identity::current())
}
