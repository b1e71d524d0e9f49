//! The plain file that other tools have as well: YAML with `allowed_domains` and `blocked_paths`, both lists of texts.
//!
//! Read from the parser's events, never composed: what the file does not need (anchors, tags, nesting, several
//! documents) is refused where it stands, so a small file cannot become a large value.

use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::egress::EgressConfig;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::policy::over;
use crate::config::{ConfigError, MAX_FILE_BYTES, check_lists};

const DOMAINS: &str = "allowed_domains";
const PATHS: &str = "blocked_paths";
const SHAPE: &str = "the file has two lists of texts, allowed_domains and blocked_paths, and nothing else";

/// Reads the file as a layer of settings: names are allowed, paths are masked.
///
/// # Errors
/// When it is not YAML, has something else in it, or an entry is not valid.
pub fn parse(text: &str) -> Result<SandboxConfig, ConfigError> {
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::Syntax(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    let mut events = Events { parser: Parser::new_from_str(text), text, last: None };
    let (domains, paths) = events.document()?;
    let layer = SandboxConfig {
        egress: domains.map(|allow| EgressConfig { allow: Some(allow), ..EgressConfig::default() }),
        masked_paths: paths,
        ..SandboxConfig::default()
    };
    check_lists(&layer)?;
    Ok(layer)
}

/// The project's one layer out of its two files: the plain one is below.
#[must_use]
pub fn beneath(plain: SandboxConfig, own: SandboxConfig) -> SandboxConfig {
    let egress = match (plain.egress, own.egress) {
        (Some(plain), Some(own)) => Some(over(&plain, &own)),
        (plain, own) => own.or(plain),
    };
    let masked_paths = match (plain.masked_paths, own.masked_paths) {
        (Some(mut plain), Some(own)) => {
            plain.extend(own);
            Some(plain)
        }
        (plain, own) => own.or(plain),
    };
    SandboxConfig { egress, masked_paths, ..own }
}

type Lists = (Option<Vec<String>>, Option<Vec<String>>);

struct Events<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    text: &'a str,
    last: Option<Span>,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<Event<'a>, ConfigError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.last = Some(span);
                let is_plain = match &event {
                    Event::Alias(_) => false,
                    Event::Scalar(_, _, anchor, tag)
                    | Event::SequenceStart(anchor, tag)
                    | Event::MappingStart(anchor, tag) => *anchor == 0 && tag.is_none(),
                    _ => true,
                };
                if is_plain { Ok(event) } else { Err(self.refused("anchors, aliases and tags are not read")) }
            }
            Some(Err(error)) => Err(self.at(error.marker().line(), error.info())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn document(&mut self) -> Result<Lists, ConfigError> {
        let mut lists: Lists = (None, None);
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                // A file of comments only.
                Event::StreamEnd => return Ok(lists),
                Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => break,
                Event::MappingStart(..) => {
                    self.mapping(&mut lists)?;
                    break;
                }
                _ => return Err(self.refused(SHAPE)),
            }
        }
        loop {
            match self.next()? {
                Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(lists),
                _ => return Err(self.refused(SHAPE)),
            }
        }
    }

    fn mapping(&mut self, lists: &mut Lists) -> Result<(), ConfigError> {
        loop {
            let place = match self.next()? {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(key, ..) if key == DOMAINS => &mut lists.0,
                Event::Scalar(key, ..) if key == PATHS => &mut lists.1,
                _ => return Err(self.refused(SHAPE)),
            };
            if place.is_some() {
                return Err(self.refused("a list stands there twice"));
            }
            *place = Some(self.list()?);
        }
    }

    fn list(&mut self) -> Result<Vec<String>, ConfigError> {
        match self.next()? {
            Event::SequenceStart(..) => {}
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => return Ok(Vec::new()),
            _ => return Err(self.refused(SHAPE)),
        }
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(list),
                Event::Scalar(text, style, ..) if style != ScalarStyle::Plain || !is_null(&text) => {
                    list.push(text.into_owned());
                }
                _ => return Err(self.refused("every entry of a list is a text")),
            }
        }
    }

    fn refused(&self, reason: &str) -> ConfigError {
        self.at(self.last.as_ref().map_or(1, |span| span.start.line()), reason)
    }

    /// A star that begins a text means something else in YAML, and whoever writes `*.name` without quotes is told so.
    fn at(&self, line: usize, reason: &str) -> ConfigError {
        let text = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let has_star = text.trim_start_matches([' ', '-', '[', ',']).starts_with('*') || text.contains(", *");
        let hint = if has_star { "; write a text that begins with '*' in quotes" } else { "" };
        ConfigError::Syntax(format!("line {line}: {reason}{hint}"))
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn the_two_lists_become_settings() {
        let layer = parse("# ours\nallowed_domains:\n  - example.com\n  - \"*.example.org\"\n  - 'git.example.net:22'\nblocked_paths: [.env, 'secrets/**']\n").expect("valid");
        let allow = layer.egress.and_then(|egress| egress.allow).expect("a list");
        assert_eq!(allow, ["example.com", "*.example.org", "git.example.net:22"]);
        assert_eq!(layer.masked_paths.expect("a list"), [".env", "secrets/**"]);
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", "# only a comment\n", "---\n", "~", "{}"] {
            assert_eq!(parse(text).expect(text), SandboxConfig::default(), "{text:?}");
        }
        let empty = parse("allowed_domains:\nblocked_paths: []\n").expect("valid");
        assert_eq!(empty.masked_paths, Some(Vec::new()));
    }

    #[test]
    fn everything_else_is_refused_with_its_line() {
        let check = |text: &str, part: &str| {
            let reason = refused(text);
            assert!(reason.contains(part), "{text:?}: {reason}");
        };
        check("allowed_domains:\n  - *.example.com\n", "in quotes");
        check("allowed_domains: [a.example, *b]\n", "in quotes");
        check("allowed_domains: &a [x.example]\nblocked_paths: *a\n", "line 1: anchors");
        check("allowed_domains: !!seq [x.example]\n", "tags");
        check("allowed_domains:\n  - [a.example]\n", "line 2: every entry");
        check("allowed_domains:\n  - a.example: 443\n", "every entry");
        check("allowed_domains: a.example\n", "two lists");
        check("allowed_hosts: [a.example]\n", "nothing else");
        check("- a.example\n", "two lists");
        check("allowed_domains: []\nallowed_domains: []\n", "twice");
        check("allowed_domains: []\n---\nallowed_domains: []\n", "nothing else");
        check("allowed_domains:\n  -\n", "every entry");
        check("allowed_domains: [\n", "line");
        check(
            "allowed_domains: [https://example.com/]\n",
            "`egress.allow`: 'https://example.com/': write the name alone",
        );
        check("blocked_paths: [../x]\n", "`maskedPaths`: '../x' is not a path inside the project");
        check(&format!("# {}", "x".repeat(300_000)), "larger than");
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!("allowed_domains: {}", "[".repeat(100_000));
        assert!(parse(&deep).is_err());
        let many = format!("blocked_paths: [{}]", "a,".repeat(2_000));
        assert!(refused(&many).contains("at most"));
    }

    #[test]
    fn the_file_with_all_settings_stands_above() {
        let plain = parse("allowed_domains: [a.example]\nblocked_paths: [.env]\n").expect("valid");
        let own = crate::config::parse(
            r#"{"memory": "2g", "egress": {"allow": ["b.example"], "default": "deny"}, "maskedPaths": ["x"]}"#,
        )
        .expect("valid");
        let both = beneath(plain, own);
        assert_eq!(both.memory.as_deref(), Some("2g"));
        assert_eq!(both.masked_paths.expect("a list"), [".env", "x"]);
        let egress = both.egress.expect("settings");
        assert_eq!(egress.allow.expect("a list"), ["a.example", "b.example"]);
        assert_eq!(egress.default, Some(boxwood_protocol::egress::EgressAction::Deny));
    }
}
