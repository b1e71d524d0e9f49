//! Which sandbox belongs to a project and a session.

use crate::content_hash;

/// The session that is meant when none is named.
pub const DEFAULT_SESSION: &str = "default";

/// Why a session name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session name is 1 to 32 of a-z, 0-9 and '-', beginning with a letter or a digit")]
pub struct InvalidSession;

/// A project and a session, and the names that follow from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Canonical path of the project.
    pub project: String,
    /// Name of the session.
    pub session: String,
    /// `<basename>-<hash8>[-<session>]`.
    pub id: String,
}

impl Identity {
    /// The identity of `session` of the project at the canonical path `project`, in the installation
    /// `installation`.
    ///
    /// # Errors
    /// When the session's name has other characters or another length than allowed.
    pub fn new(project: &str, session: Option<&str>, installation: &str) -> Result<Self, InvalidSession> {
        let session = session.unwrap_or(DEFAULT_SESSION);
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if session.is_empty() || session.len() > 32 || session.starts_with('-') || !session.chars().all(is_name) {
            return Err(InvalidSession);
        }
        let hash = content_hash([installation.as_bytes(), project.as_bytes()]);
        let mut id = format!("{}-{}", readable(project), &hash[..8]);
        if session != DEFAULT_SESSION {
            id.push('-');
            id.push_str(session);
        }
        Ok(Self { project: project.to_owned(), session: session.to_owned(), id })
    }

    /// Name of the container.
    #[must_use]
    pub fn container(&self) -> String {
        format!("boxwood-{}", self.id)
    }
}

/// The last part of a path in characters that container and host names allow, at most 32 of them.
fn readable(project: &str) -> String {
    let base = project.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name = String::new();
    for c in base.chars() {
        if name.len() >= 32 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "project".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_tell_the_project() {
        let identity = Identity::new("/home/u/My App", None, "i").expect("valid");
        assert!(identity.container().starts_with("boxwood-my-app-"), "{}", identity.container());
        assert!(Identity::new("/", None, "i").expect("valid").id.starts_with("project-"));
        let named = Identity::new("/home/u/My App", Some("review"), "i").expect("valid");
        assert_eq!(named.id, format!("{}-review", identity.id));
    }

    #[test]
    fn session_names_are_checked() {
        for bad in ["", "-x", "A", "a b", "a/b", "ä", &"x".repeat(33)] {
            assert_eq!(Identity::new("/p", Some(bad), "i"), Err(InvalidSession), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_path_gives_a_name_that_engines_accept(path in "\\PC{0,80}") {
            let name = Identity::new(&path, None, "i").expect("valid").container();
            prop_assert!(name.len() <= 63);
            prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        }

        #[test]
        fn different_paths_have_different_names(a in "/[a-z ]{1,12}", b in "/[a-z ]{1,12}") {
            let id = |path: &str| Identity::new(path, None, "i").expect("valid").id;
            prop_assert_eq!(a == b, id(&a) == id(&b));
        }
    }
}
