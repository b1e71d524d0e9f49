//! Bytes as they are written on a command line.

/// Takes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` for what they mean, and `\{N*TEXT}` for TEXT, N times.
pub(crate) fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let after = &rest[at + 1..];
        let repeated = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some((inner, following)) = repeated {
            let (count, piece) = inner.split_once('*').unwrap_or(("1", inner));
            bytes.extend(unescaped(piece).repeat(count.parse().unwrap_or(1)));
            rest = following;
            continue;
        }
        let (byte, length) = match after.as_bytes().first() {
            Some(b'r') => (b'\r', 1),
            Some(b'n') => (b'\n', 1),
            Some(b't') => (b'\t', 1),
            Some(b'0') => (0, 1),
            Some(b'x') => {
                let code = after.get(1..3).and_then(|code| u8::from_str_radix(code, 16).ok());
                code.map_or((b'\\', 0), |code| (code, 3))
            }
            Some(b'\\') => (b'\\', 1),
            _ => (b'\\', 0),
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Bytes for people.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.iter().take(2000).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect()
}
