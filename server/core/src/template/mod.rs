//! Devcontainer templates: which there are, what a choice of options makes of their files, and how those enter a
//! project without changing what is there.
//!
//! The files are the ones the official CLI publishes (`devcontainer-templates/src`), compiled in, and the substitution
//! is the official CLI's, so that a template inserted here and one applied there are the same.

mod embedded;
mod insert;
mod metadata;
mod substitute;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use boxwood_protocol::params::TemplateInfo;

pub use insert::{InsertAction, insert_plan};

use embedded::TEMPLATES;

/// The option that every template with a fixed Claude Code version has.
const CLAUDE_VERSION_OPTION: &str = "claudeVersion";

/// Why a template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No template has this id.
    #[error("find the template '{id}'; there is {}", known.join(", "))]
    UnknownTemplate {
        /// What was asked for.
        id: String,
        /// The ids there are.
        known: Vec<String>,
    },
    /// The template has no option of this name.
    #[error("set the option '{option}': the template '{template}' has {}", known.join(", "))]
    UnknownOption {
        /// Id of the template.
        template: String,
        /// What was asked for.
        option: String,
        /// The options it has.
        known: Vec<String>,
    },
    /// The option takes only the values it offers.
    #[error("set the option '{option}' to '{value}'; it takes {}", offered.join(", "))]
    NotOffered {
        /// Name of the option.
        option: String,
        /// The value that was given.
        value: String,
        /// The values it takes.
        offered: Vec<String>,
    },
    /// The option cannot be empty.
    #[error("set the option '{option}' to nothing; leave it out for its default")]
    Empty {
        /// Name of the option.
        option: String,
    },
    /// The value is longer than anything sensible.
    #[error("set the option '{option}': its value has {length} characters, and {limit} are allowed")]
    TooLong {
        /// Name of the option.
        option: String,
        /// Characters in the value.
        length: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// The value holds a character that could end the text it is put into, or start an expression there.
    #[error("set the option '{option}': its value contains {character:?}, which is not allowed")]
    Forbidden {
        /// Name of the option.
        option: String,
        /// The character.
        character: char,
    },
}

/// A file of a template with its options filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Path relative to the project, with `/`.
    pub path: String,
    /// What stands in it.
    pub contents: String,
    /// Whether it is a program.
    pub executable: bool,
}

/// The templates on offer.
#[must_use]
pub fn list() -> Vec<TemplateInfo> {
    TEMPLATES.iter().map(|template| template.metadata().info()).collect()
}

/// The files of the template `id` with `options` filled in; `claude_version` is used where the template pins Claude Code
/// and `options` does not choose a version.
///
/// # Errors
/// When there is no such template or option, or an option cannot have this value.
pub fn render(
    id: &str,
    options: &BTreeMap<String, String>,
    claude_version: &str,
) -> Result<Vec<RenderedFile>, TemplateError> {
    let template = TEMPLATES.iter().find(|template| template.id == id).ok_or_else(|| {
        let known = TEMPLATES.iter().map(|template| template.id.to_owned()).collect();
        TemplateError::UnknownTemplate { id: id.to_owned(), known }
    })?;
    let metadata = template.metadata();
    let mut chosen = options.clone();
    if metadata.option(CLAUDE_VERSION_OPTION).is_some() {
        chosen.entry(CLAUDE_VERSION_OPTION.to_owned()).or_insert_with(|| claude_version.to_owned());
    }
    let values = metadata.values(&chosen)?;
    let rendered = template.files.iter().map(|file| RenderedFile {
        path: file.path.to_owned(),
        contents: substitute::fill_in(file.contents, &values),
        executable: file.contents.starts_with("#!"),
    });
    Ok(rendered.collect())
}

/// The file a person wants to see after an insertion: the `devcontainer.json`.
#[must_use]
pub fn main_file(rendered: &[RenderedFile]) -> Option<&str> {
    rendered.iter().map(|file| file.path.as_str()).find(|path| path.ends_with("devcontainer.json"))
}
