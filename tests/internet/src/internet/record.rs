//! What reached this: one JSON object a line on standard output.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// Notes something.
pub(crate) fn note(kind: &str, fields: Value) {
    let mut line = Map::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    line.insert("atMs".into(), u64::try_from(now.as_millis()).unwrap_or_default().into());
    line.insert("kind".into(), kind.into());
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    let mut text = Value::Object(line).to_string();
    text.push('\n');
    // Nobody reads any more when the test is over.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Bytes as they can be read, the first few.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.iter().take(96).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect()
}
