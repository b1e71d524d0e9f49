//! Questions to name servers and what their answers say, as far as `reach` needs them.

use std::net::Ipv4Addr;

/// Types of records.
pub(super) const A: u16 = 1;
pub(super) const NS: u16 = 2;

const ID: u16 = 0x6277;
const HEADER: usize = 12;

/// A question; the empty name is the root.
pub(super) fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    // One question, recursion wanted.
    for word in [ID, 0x0100, 1, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend_from_slice(label);
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&1_u16.to_be_bytes());
    message
}

/// As a stream has it: after its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], message].concat()
}

fn message(answer: &[u8], is_stream: bool) -> &[u8] {
    if is_stream { answer.get(2..).unwrap_or_default() } else { answer }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
}

/// Whether an answer without an error carries records.
pub(super) fn knows(answer: &[u8], is_stream: bool) -> bool {
    let message = message(answer, is_stream);
    let has_error = word(message, 2).is_none_or(|flags| flags & 0xf != 0);
    !has_error && word(message, 6).is_some_and(|records| records > 0)
}

/// The addresses in an answer to our own question.
pub(super) fn addresses(answer: &[u8], is_stream: bool) -> Result<Vec<Ipv4Addr>, String> {
    let message = message(answer, is_stream);
    let short = || "its answer is cut off".to_owned();
    if word(message, 0) != Some(usize::from(ID)) {
        return Err("its answer is to another question".to_owned());
    }
    let flags = word(message, 2).ok_or_else(short)?;
    if flags & 0xf != 0 {
        return Err(format!("it answers with error {}", flags & 0xf));
    }
    let records = word(message, 6).ok_or_else(short)?;
    let mut at = skip_name(message, HEADER).ok_or_else(short)? + 4;
    let mut found = Vec::new();
    for _ in 0..records {
        at = skip_name(message, at).ok_or_else(short)?;
        let (kind, length) = (word(message, at).ok_or_else(short)?, word(message, at + 8).ok_or_else(short)?);
        let data = message.get(at + 10..at + 10 + length).ok_or_else(short)?;
        if let (true, &[a, b, c, d]) = (kind == usize::from(A), data) {
            found.push(Ipv4Addr::new(a, b, c, d));
        }
        at += 10 + length;
    }
    Ok(found)
}

/// The place behind a name.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(records: &[[u8; 4]], error: u8) -> Vec<u8> {
        let mut message = question("probe.example", A);
        message[3] |= error;
        message[7] = u8::try_from(records.len()).expect("few");
        for record in records {
            message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            message.extend_from_slice(record);
        }
        message
    }

    #[test]
    fn answers_are_read() {
        let own = Ipv4Addr::new(198, 18, 4, 2);
        assert_eq!(addresses(&answer(&[own.octets()], 0), false), Ok(vec![own]));
        assert_eq!(addresses(&framed(&answer(&[own.octets()], 0)), true), Ok(vec![own]));
        assert_eq!(addresses(&answer(&[], 3), false), Err("it answers with error 3".to_owned()));
        assert!(knows(&answer(&[[1, 2, 3, 4]], 0), false));
        assert!(!knows(&answer(&[], 0), false) && !knows(&answer(&[[1, 2, 3, 4]], 2), false));
    }

    #[test]
    fn nonsense_is_no_answer() {
        let whole = answer(&[[1, 2, 3, 4]], 0);
        for length in 0..whole.len() {
            assert!(addresses(&whole[..length], false).is_err(), "{length}");
        }
        assert!(addresses(b"", true).is_err() && !knows(b"", false) && !knows(b"x", true));
    }
}
