//! Paths of requests in one normal form, so that a rule about a path sees what the server will see.

/// The normal form of a request's path: without query, dot segments removed, slashes in a row collapsed, characters
/// that need no percent sign written without one.
///
/// `None` when a server might read it as another path than it looks: a slash, backslash or control character behind a
/// percent sign, a percent sign that is itself written so, a backslash, a dot segment with parameters, no slash in
/// front.
#[must_use]
pub fn normal(path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or(path);
    let decoded = decode(path)?;
    let inner = decoded.strip_prefix('/')?;
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_slash = true;
    for segment in inner.split('/') {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            // Some servers cut parameters off before they look for dot segments.
            _ if matches!(segment.split(';').next(), Some("." | "..")) => return None,
            _ => kept.push(segment),
        }
    }
    let mut normal = String::with_capacity(decoded.len());
    for segment in &kept {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_in_slash {
        normal.push('/');
    }
    Some(normal)
}

/// Writes unreserved characters (RFC 3986) plain and everything else that is not ASCII behind a percent sign.
fn decode(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let value = hex(*bytes.get(at + 1)?)? << 4 | hex(*bytes.get(at + 2)?)?;
                match value {
                    0..=0x1f | 0x7f | b'/' | b'\\' | b'%' => return None,
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(value as char),
                    _ => push_encoded(&mut text, value),
                }
                at += 2;
            }
            b'\\' | b'#' | 0..=0x20 | 0x7f => return None,
            byte @ 0x80.. => push_encoded(&mut text, byte),
            byte => text.push(byte as char),
        }
        at += 1;
    }
    Some(text)
}

fn push_encoded(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(DIGITS[usize::from(byte >> 4)] as char);
    text.push(DIGITS[usize::from(byte & 15)] as char);
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// What a rule's path says: one path, or all that start so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathPattern {
    text: String,
    is_open: bool,
}

impl PathPattern {
    /// Reads `/a/b`, `/a/*` or `*`; `None` when it is neither, or not what a normal path could be.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (front, is_open) = match text.strip_suffix('*') {
            Some("") => ("/", true),
            Some(front) => (front, true),
            None => (text, false),
        };
        if front.contains(['*', '?']) {
            return None;
        }
        Some(Self { text: normal(front)?, is_open })
    }

    /// Whether a path in its normal form is meant.
    pub(super) fn matches(&self, path: &str) -> bool {
        if self.is_open { path.starts_with(&self.text) } else { path == self.text }
    }
}
