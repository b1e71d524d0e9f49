//! How a rendered template enters a project: new files are written, existing ones never changed.

use super::RenderedFile;

/// What happens to one file of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertAction {
    /// Nothing is there: write it. Create it exclusively, since the project may have changed since it was looked at.
    Write(RenderedFile),
    /// The same content is there.
    Unchanged {
        /// Path relative to the project.
        path: String,
    },
    /// Other content is there and stays.
    Keep {
        /// Path relative to the project.
        path: String,
        /// Path beside it that gets, or already has, the template's content.
        beside: String,
        /// What to write at `beside`; `None` when it has the content already.
        proposal: Option<RenderedFile>,
    },
}

/// What to do with each file of `rendered` in a project where `existing` gives the content at a relative path.
///
/// Carrying a plan out and planning again gives a plan that writes nothing.
pub fn insert_plan(rendered: Vec<RenderedFile>, existing: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<InsertAction> {
    rendered.into_iter().map(|file| action(file, existing)).collect()
}

fn action(file: RenderedFile, existing: &dyn Fn(&str) -> Option<Vec<u8>>) -> InsertAction {
    match existing(&file.path) {
        None => InsertAction::Write(file),
        Some(content) if content == file.contents.as_bytes() => InsertAction::Unchanged { path: file.path },
        Some(_) => keep(file, existing),
    }
}

/// An earlier proposal is as much the person's as any other file, so a differing one gets a sibling.
fn keep(file: RenderedFile, existing: &dyn Fn(&str) -> Option<Vec<u8>>) -> InsertAction {
    let path = file.path.clone();
    let mut beside = format!("{path}.boxwood-new");
    let mut number = 1_u64;
    loop {
        match existing(&beside) {
            None => {
                let proposal = Some(RenderedFile { path: beside.clone(), ..file });
                return InsertAction::Keep { path, beside, proposal };
            }
            Some(content) if content == file.contents.as_bytes() => {
                return InsertAction::Keep { path, beside, proposal: None };
            }
            Some(_) => {
                number += 1;
                beside = format!("{path}.boxwood-new-{number}");
            }
        }
    }
}
