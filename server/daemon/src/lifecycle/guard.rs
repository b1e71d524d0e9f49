//! The guard of what is mounted over a project: what it watches over, and what it says when it ends the sandbox.

use boxwood_core::protect::Overlay;
use boxwood_engine::{ContainerDetail, ContainerState, Engine};

use crate::lifecycle::verify;

/// Exit status of `boxwood-helper keep` when something that it guards is no longer mounted.
const STATUS: i64 = 79;
/// How its last line begins, before the path inside.
const LINE: &str = "boxwood-helper: no longer mounted: ";

/// What the main process is told to guard.
pub(crate) fn arguments(workspace: &str, overlays: &[Overlay]) -> Vec<String> {
    overlays.iter().flat_map(|overlay| ["--guard".to_owned(), format!("{workspace}/{}", overlay.path)]).collect()
}

/// Whether it was the guard that ended a container.
pub(crate) fn has_ended(detail: &ContainerDetail) -> bool {
    matches!(detail.state, ContainerState::Exited | ContainerState::Dead) && detail.exit_code == Some(STATUS)
}

/// The path that the guard named, relative to the project; `None` when its words are lost.
pub(crate) async fn path(engine: &dyn Engine, detail: &ContainerDetail) -> Option<String> {
    let workspace = detail.labels.get(boxwood_core::labels::WORKSPACE)?;
    let lines = verify::tail(engine, &detail.id).await;
    named(&lines, workspace).map(str::to_owned)
}

fn named<'a>(lines: &'a [String], workspace: &str) -> Option<&'a str> {
    let path = lines.iter().rev().find_map(|line| line.trim_end().strip_prefix(LINE))?;
    path.strip_prefix(workspace)?.strip_prefix('/')
}

/// Why a sandbox ended, for a person.
pub(crate) fn words(path: Option<&str>) -> String {
    let path = path.unwrap_or("a protected or masked file");
    format!(
        "{path} was replaced, moved or removed on the host and lay open inside for a moment, so the sandbox was ended: \
         look at it, then 'boxwood start' protects it again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_path_that_was_named_counts() {
        let lines =
            ["boxwood-helper: no longer mounted: /p/.env", "x", "boxwood-helper: no longer mounted: /p/a b/c\r"];
        let lines = lines.map(str::to_owned);
        assert_eq!(named(&lines, "/p"), Some("a b/c"));
        assert_eq!(named(&lines[..2], "/p"), Some(".env"));
        assert_eq!(named(&lines, "/other"), None);
        assert_eq!(named(&[], "/p"), None);
    }

    #[test]
    fn everything_over_the_project_is_guarded() {
        let overlays =
            [Overlay::pin(".git".to_owned()), Overlay { read_only: true, ..Overlay::pin(".env".to_owned()) }];
        assert_eq!(arguments("/p", &overlays), ["--guard", "/p/.git", "--guard", "/p/.env"]);
    }
}
