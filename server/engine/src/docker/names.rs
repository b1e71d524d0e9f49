//! Names that go into a request's path. A reference can come from a project's configuration, so one that would change
//! which resource the path names is turned away before it is sent.

use crate::error::EngineError;

/// A container's id or name, an exec's id, a volume's name.
pub(super) fn object<'a>(kind: &str, name: &'a str) -> Result<&'a str, EngineError> {
    let is_fine = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if is_fine { Ok(name) } else { Err(EngineError::NotFound(format!("no such {kind}: {name:?}"))) }
}

/// An image's reference or id.
pub(super) fn image(reference: &str) -> Result<&str, EngineError> {
    let has_good_characters =
        reference.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':' | '@'));
    let has_good_parts =
        reference.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && !part.contains(".."));
    if has_good_characters && has_good_parts {
        Ok(reference)
    } else {
        Err(EngineError::Image(format!("{reference:?} is not an image reference")))
    }
}

/// Repository and tag of a reference. Without a tag the engine would fetch every one there is, so `latest` is said.
pub(super) fn repository_and_tag(reference: &str) -> (&str, &str) {
    if reference.contains('@') {
        return (reference, "");
    }
    match reference.rsplit_once(':') {
        // A colon before a slash belongs to a registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_as_the_engine_splits_them() {
        for (reference, expected) in [
            ("debian", ("debian", "latest")),
            ("debian:bookworm-slim", ("debian", "bookworm-slim")),
            ("host:5000/a/b", ("host:5000/a/b", "latest")),
            ("host:5000/a/b:1", ("host:5000/a/b", "1")),
            ("a@sha256:00ff", ("a@sha256:00ff", "")),
        ] {
            assert_eq!(repository_and_tag(reference), expected);
        }
    }

    #[test]
    fn a_reference_cannot_point_at_something_else() {
        for good in ["debian:12", "host:5000/a_b/c.d@sha256:00", "sha256:abc"] {
            assert_eq!(image(good).ok(), Some(good));
        }
        for bad in ["", "../containers/x", "a/../b", "a?b", "a#b", "a b", "/a", "a//b", "a%2e", "ä", "a\nb", "."] {
            assert!(image(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_object_is_named_in_the_engines_alphabet() {
        assert_eq!(object("container", "boxwood-a.b_c-1").ok(), Some("boxwood-a.b_c-1"));
        for bad in ["", "a/b", "..", "a?force=1", "-a", "a b"] {
            assert!(object("container", bad).is_err_and(|error| error.is_not_found()), "{bad:?}");
        }
    }
}
