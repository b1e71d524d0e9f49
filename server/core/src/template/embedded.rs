//! The templates' files, compiled in. A new template is a folder under `devcontainer-templates/src` and an entry here.

use super::metadata::Metadata;

/// A template as it stands in the repository.
pub(super) struct Embedded {
    pub(super) id: &'static str,
    metadata: &'static str,
    pub(super) files: &'static [EmbeddedFile],
}

/// A file that is applied to a project.
pub(super) struct EmbeddedFile {
    pub(super) path: &'static str,
    pub(super) contents: &'static str,
}

/// Like the official CLI, leaves the template's metadata and its own README out of the files that are applied.
macro_rules! template {
    ($id:literal: $($path:literal),+) => {
        Embedded {
            id: $id,
            metadata: source!($id, "devcontainer-template.json"),
            files: &[$(EmbeddedFile { path: $path, contents: source!($id, $path) }),+],
        }
    };
}

macro_rules! source {
    ($id:literal, $path:literal) => {
        include_str!(concat!("../../../../devcontainer-templates/src/", $id, "/", $path))
    };
}

#[rustfmt::skip]
pub(super) const TEMPLATES: &[Embedded] = &[
    template!("claude-sandbox": ".devcontainer/devcontainer.json", ".devcontainer/Dockerfile", ".devcontainer/seed-claude-state", ".devcontainer/ca/README.md"),
];

impl Embedded {
    /// What the template says about itself.
    ///
    /// # Panics
    /// Never in a build whose tests passed: the text is compiled in, and a test reads every one.
    pub(super) fn metadata(&self) -> Metadata {
        serde_json::from_str(self.metadata).expect("a template's metadata is valid")
    }
}
