//! What Claude Code finds in its configuration directory when it first starts in a sandbox.
//!
//! The keys and their effects were found by running Claude Code 2.1.329: with these it begins at its prompt, with no
//! question about theme, trust or permissions. What Claude itself wrote there since is kept.

use serde_json::{Map, Value, json};

/// Name of the file, in the configuration directory, that holds an API key or token for `apiKeyHelper`.
pub const KEY_FILE: &str = ".boxwood-key";

/// A seeded file, and what was wrong with the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// The content to write.
    pub contents: String,
    /// True when the file before could not be read as JSON and is to be kept as a backup beside the new one.
    pub is_replacing_broken: bool,
}

fn object(existing: Option<&str>) -> (Map<String, Value>, bool) {
    match existing {
        None => (Map::new(), false),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => (map, false),
            _ => (Map::new(), true),
        },
    }
}

fn text(map: Map<String, Value>) -> String {
    let mut text = format!("{:#}", Value::Object(map));
    text.push('\n');
    text
}

/// `.claude.json`: onboarding done and the workspace trusted.
#[must_use]
pub fn claude_json(existing: Option<&str>, workspace: &str) -> Seeded {
    let (mut map, is_replacing_broken) = object(existing);
    for key in ["hasCompletedOnboarding", "hasSeenAutoDefaultNotice", "hasSeenAutoDefaultNudge"] {
        map.insert(key.to_owned(), Value::Bool(true));
    }
    let projects = map.entry("projects").or_insert_with(|| json!({}));
    if !projects.is_object() {
        *projects = json!({});
    }
    if let Some(projects) = projects.as_object_mut() {
        let project = projects.entry(workspace).or_insert_with(|| json!({}));
        if !project.is_object() {
            *project = json!({});
        }
        if let Some(project) = project.as_object_mut() {
            project.insert("hasTrustDialogAccepted".to_owned(), Value::Bool(true));
        }
    }
    Seeded { contents: text(map), is_replacing_broken }
}

/// `settings.json`: full autonomy without a warning.
#[must_use]
pub fn settings(existing: Option<&str>) -> Seeded {
    let (mut map, is_replacing_broken) = object(existing);
    map.insert("skipDangerousModePermissionPrompt".to_owned(), Value::Bool(true));
    Seeded { contents: text(map), is_replacing_broken }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_claude_wrote_is_kept() {
        let before = r#"{"theme":"light","projects":{"/p":{"lastCost":1},"/q":{}},"x":1}"#;
        let after: Value = serde_json::from_str(&claude_json(Some(before), "/p").contents).expect("json");
        assert_eq!(after["theme"], "light");
        assert_eq!(after["projects"]["/p"], json!({"lastCost": 1, "hasTrustDialogAccepted": true}));
        assert_eq!(after["projects"]["/q"], json!({}));
        assert_eq!(after["hasCompletedOnboarding"], true);
    }

    #[test]
    fn seeding_twice_changes_nothing_and_a_broken_file_is_told() {
        let once = claude_json(None, "/p");
        assert_eq!(claude_json(Some(&once.contents), "/p").contents, once.contents);
        assert!(claude_json(Some(""), "/p").is_replacing_broken, "an empty file is fatal for Claude Code");
        assert!(!once.is_replacing_broken);
    }
}
