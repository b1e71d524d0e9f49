//! Looking for secrets where they must not be: canaries, every form in which one could be written, and what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Shortest part of a secret that is looked for.
const SHORTEST: usize = 16;
/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// A secret that opens nothing, and a name for it.
#[derive(Debug, Clone)]
pub struct Canary {
    /// What it stands for.
    pub name: &'static str,
    /// The secret.
    pub value: String,
}

impl Canary {
    /// A canary.
    #[must_use]
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }
}

/// Where a canary was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Its name.
    pub canary: &'static str,
    /// The place, its kind before the first colon.
    pub place: String,
    /// How it was written there.
    pub form: &'static str,
}

impl Hit {
    /// Whether a line of a table is about it.
    fn fits(&self, line: &(&str, &str)) -> bool {
        self.canary == line.0 && self.place == line.1
    }
}

struct Needle {
    canary: &'static str,
    form: &'static str,
    bytes: Vec<u8>,
}

/// A hunt for canaries.
pub struct Hunt {
    needles: Vec<Needle>,
    /// For every pair of bytes, whether a needle begins with it: what lets most of a haystack be passed over.
    begins: Vec<bool>,
    /// What is another one in each run, and what it is called in the names of places.
    names: Vec<(String, &'static str)>,
    hits: BTreeSet<Hit>,
    looked: BTreeMap<String, usize>,
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

impl Hunt {
    /// A hunt that has not looked anywhere yet.
    ///
    /// # Panics
    /// When a canary is too short to be told from other text.
    #[must_use]
    pub fn new(canaries: &[Canary]) -> Self {
        let mut needles = Vec::new();
        for canary in canaries {
            assert!(canary.value.len() >= SHORTEST, "{} is too short", canary.name);
            for (form, bytes) in forms(&canary.value) {
                needles.push(Needle { canary: canary.name, form, bytes });
            }
        }
        let mut begins = vec![false; 1 << 16];
        for needle in &needles {
            begins[pair(&needle.bytes)] = true;
        }
        Self { needles, begins, names: Vec::new(), hits: BTreeSet::new(), looked: BTreeMap::new() }
    }

    /// Has a part of the names of places called something that is the same in each run.
    pub fn call(&mut self, part: impl Into<String>, name: &'static str) {
        self.names.push((part.into(), name));
    }

    /// Looks at something.
    pub fn look(&mut self, place: &str, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let kind = place.split(':').next().unwrap_or_default();
        *self.looked.entry(kind.to_owned()).or_default() += bytes.len();
        for at in 0..bytes.len().saturating_sub(SHORTEST - 1) {
            if self.begins[pair(&bytes[at..])] {
                let rest = &bytes[at..];
                for needle in self.needles.iter().filter(|needle| rest.starts_with(&needle.bytes)) {
                    let name = |place: String, (part, name): &(String, &str)| place.replace(part, name);
                    let place = self.names.iter().fold(place.to_owned(), name);
                    self.hits.insert(Hit { canary: needle.canary, place, form: needle.form });
                }
            }
        }
    }

    /// Looks at the names and contents of an archive, and of archives in it.
    pub fn look_archive(&mut self, place: &str, archive: &[u8]) {
        let mut at = 0;
        while let Some(head) = archive.get(at..at + BLOCK).filter(|head| head[0] != 0) {
            let name = String::from_utf8_lossy(head[..100].split(|byte| *byte == 0).next().unwrap_or_default());
            let place = format!("{place}/{name}");
            self.look(&place, head);
            let length = length(&head[124..136]);
            at += BLOCK;
            let contents = archive.get(at..(at + length).min(archive.len())).unwrap_or_default();
            if contents.get(257..262) == Some(b"ustar") {
                self.look_archive(&place, contents);
            } else {
                self.look(&place, contents);
            }
            at += length.next_multiple_of(BLOCK);
        }
    }

    /// Adds what was found by another hunt.
    pub fn add(&mut self, hits: impl IntoIterator<Item = Hit>) {
        self.hits.extend(hits);
    }

    /// What was found so far.
    #[must_use]
    pub fn hits(&self) -> Vec<Hit> {
        self.hits.iter().cloned().collect()
    }

    /// How many bytes of each kind of place were looked at.
    #[must_use]
    pub fn looked(&self) -> &BTreeMap<String, usize> {
        &self.looked
    }

    /// Holds what was found against a table of where it may be, of which nothing has to be found.
    ///
    /// # Panics
    /// When something was found elsewhere.
    #[track_caller]
    pub fn permit(&self, what: &str, table: &[(&str, &str)]) {
        let leaks: Vec<&Hit> = self.hits.iter().filter(|hit| !table.iter().any(|line| hit.fits(line))).collect();
        assert!(leaks.is_empty(), "{what}: secrets stand where they must not: {leaks:#?}");
    }

    /// Holds what was found against a table: the name of a canary, and the name of a place where it may be. Every
    /// line of the table must have been found too, so that the hunt is known to look there.
    ///
    /// # Panics
    /// When something was found elsewhere, or a line was not found.
    #[track_caller]
    pub fn judge(&self, what: &str, table: &[(&str, &str)]) {
        self.permit(what, table);
        let idle: Vec<_> = table.iter().filter(|line| !self.hits.iter().any(|hit| hit.fits(line))).collect();
        assert!(idle.is_empty(), "{what}: the table says that these are there, and they are not: {idle:?}");
    }
}

/// The length of an archive's entry: octal digits, or, with the highest bit set, bytes.
fn length(field: &[u8]) -> usize {
    if field[0] & 0x80 != 0 {
        return field[4..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    }
    let digits = field.iter().filter(|byte| (b'0'..=b'7').contains(*byte));
    digits.fold(0, |length, digit| length * 8 + usize::from(digit - b'0'))
}

/// Every form in which a secret could be written.
#[must_use]
pub fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = value.as_bytes();
    // Its middle alone, as in a secret that was cut or quoted. What comes first is the same in all of a kind.
    let third = bytes.len() / 3;
    let middle = &bytes[third..(third * 2).max(third + SHORTEST).min(bytes.len())];
    let mut all = vec![("as it is", bytes.to_vec())];
    if middle.len() >= SHORTEST {
        all.push(("in part", middle.to_vec()));
    }
    // Claude Code tells keys apart by their last twenty characters.
    all.push(("its end", bytes[bytes.len().saturating_sub(20)..].to_vec()));
    all.push(("in hexadecimal digits", hex(bytes, |byte| format!("{byte:02x}"))));
    all.push(("in hexadecimal digits", hex(bytes, |byte| format!("{byte:02X}"))));
    all.push(("percent-encoded", hex(bytes, |byte| format!("%{byte:02X}"))));
    let escaped = hex(bytes, |byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    all.push(("percent-encoded", escaped));
    all.push(("escaped", value.replace('/', "\\/").into_bytes()));
    all.push(("in UTF-16", value.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    for alphabet in [STANDARD, FOR_URLS] {
        for shift in 0..3 {
            all.push(("in base 64", base64(bytes, shift, alphabet)));
        }
    }
    let mut known = BTreeSet::new();
    all.retain(|(_, bytes)| known.insert(bytes.clone()));
    all
}

fn hex(bytes: &[u8], digits: impl Fn(u8) -> String) -> Vec<u8> {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{}", digits(*byte));
    }
    text.into_bytes()
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FOR_URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What is the same of the base 64 form whatever stands around it, when `shift` bytes of a group stand before.
fn base64(bytes: &[u8], shift: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
    let mut text = Vec::new();
    for group in padded.chunks_exact(3) {
        let bits = usize::from(group[0]) << 16 | usize::from(group[1]) << 8 | usize::from(group[2]);
        text.extend([18, 12, 6, 0].map(|by| alphabet[bits >> by & 63]));
    }
    // The first characters carry bits of what stands before.
    text.split_off([0, 2, 3][shift])
}
