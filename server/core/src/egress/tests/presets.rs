use std::collections::BTreeSet;

use crate::egress::presets::{ALWAYS, preset, presets};
use crate::egress::{Pattern, Target};

#[test]
fn every_host_is_written_in_its_one_form_and_once() {
    let mut names = BTreeSet::new();
    for preset in presets() {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!preset.name.is_empty() && preset.name.chars().all(is_name), "{}", preset.name);
        assert!(names.insert(&preset.name), "{} stands there twice", preset.name);
        assert!(!preset.description.is_empty() && !preset.description.ends_with('.'), "{}", preset.name);
        assert!(!preset.hosts.is_empty(), "{}", preset.name);
        let mut hosts = BTreeSet::new();
        for text in &preset.hosts {
            let target = Target::parse(text).unwrap_or_else(|error| panic!("{}: {text}: {error}", preset.name));
            assert_eq!(target.to_string(), *text, "{}", preset.name);
            assert!(hosts.insert(text), "{}: {text} stands there twice", preset.name);
            let is_narrow = match &target.pattern {
                Pattern::Exact(host) => host.name().is_some_and(|name| name.contains('.')),
                Pattern::Below(name) => name.contains('.'),
                Pattern::Block(_) | Pattern::Any => false,
            };
            assert!(is_narrow, "{}: {text} is no host of one owner", preset.name);
        }
    }
}

/// Anyone can have a place of their own on these, so allowing one is allowing to send anything to anybody.
#[test]
fn no_preset_opens_a_server_that_everybody_shares() {
    let shared = ["storage.googleapis.com", "s3.amazonaws.com", "blob.core.windows.net", "cloudfront.net", "pages.dev"];
    for preset in presets() {
        for text in &preset.hosts {
            let host = text.split(':').next().unwrap_or(text);
            assert!(
                !shared.iter().any(|name| host == *name || host.strip_prefix("*.") == Some(name)),
                "{}: {text}",
                preset.name
            );
        }
    }
}

#[test]
fn claude_has_what_it_cannot_work_without() {
    let hosts = &preset(ALWAYS).expect("the preset that is always there").hosts;
    for needed in ["api.anthropic.com:443", "platform.claude.com:443", "downloads.claude.ai:443"] {
        assert!(hosts.iter().any(|host| host == needed), "{needed}");
    }
}

#[test]
fn the_documentation_lists_every_preset_and_no_other() {
    let text = include_str!("../../../../../docs/egress.md");
    let listed: Vec<&str> = text.lines().filter(|line| line.starts_with("| `") && line.ends_with(" |")).collect();
    for preset in presets() {
        let line = format!("| `{}` | {} |", preset.name, preset.description);
        assert!(listed.contains(&line.as_str()), "docs/egress.md has no line {line:?}");
    }
    let table =
        text.split("## Presets").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a chapter on presets");
    assert_eq!(table.lines().filter(|line| line.starts_with("| `")).count(), presets().len());
}
