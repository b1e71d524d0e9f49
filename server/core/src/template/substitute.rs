//! Filling `${templateOption:NAME}` in, exactly as the official CLI does: its pattern is
//! `\${templateOption:\s*(\w+?)\s*}` with JavaScript's meaning of `\s` and `\w`, an unknown name becomes nothing, and
//! what was filled in is not looked at again.

use std::collections::BTreeMap;

const OPENING: &str = "${templateOption:";

/// `text` with every option reference replaced by its value.
pub(super) fn fill_in(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPENING) {
        filled.push_str(before);
        if let Some((name, behind)) = reference(after) {
            filled.push_str(values.get(name).map_or("", String::as_str));
            rest = behind;
        } else {
            filled.push_str(OPENING);
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

/// The name at the start of `text`, and what comes behind its closing brace.
fn reference(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(is_js_space);
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let (name, behind) = text.split_at(end);
    let behind = behind.trim_start_matches(is_js_space).strip_prefix('}')?;
    (!name.is_empty()).then_some((name, behind))
}

fn is_js_space(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_filled_in_as_the_official_cli_does() {
        let values =
            BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b_2".to_owned(), "${templateOption:a}".to_owned())]);
        let check = |text: &str, expected: &str| assert_eq!(fill_in(text, &values), expected, "{text:?}");
        check("", "");
        check("x ${templateOption:a} y", "x 1 y");
        check("${templateOption:a}${templateOption: a }${templateOption:\t\u{feff}a\n}", "111");
        check("${templateOption:b_2}", "${templateOption:a}");
        check("[${templateOption:unknown}]", "[]");
        check("${templateOption:}", "${templateOption:}");
        check("${templateOption:a b}", "${templateOption:a b}");
        check("${templateOption:\u{85}a}", "${templateOption:\u{85}a}");
        check("${templateOption:é}", "${templateOption:é}");
        check("${templateOption:${templateOption:a}", "${templateOption:1");
        check("${templateOption:a", "${templateOption:a");
        check("${localEnv:a} ${TEMPLATEOPTION:a}", "${localEnv:a} ${TEMPLATEOPTION:a}");
    }
}
