//! The decisions of one sandbox: the last ones in memory, all of them for a while on disk.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use boxwood_protocol::egress::{EgressAction, EgressDecision};

/// Decisions that are kept in memory.
const KEPT: usize = 1000;
/// A file that has grown to this is set aside, and the one set aside before is dropped.
const LARGEST: u64 = 5 << 20;
/// How much of the file is looked at for the last decisions.
const TAIL: u64 = 512 << 10;

/// The decisions of a sandbox.
#[derive(Debug)]
pub(super) struct Trail {
    path: PathBuf,
    largest: u64,
    kept: VecDeque<EgressDecision>,
}

/// What a decision adds to the others.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is not here yet.
    All,
    /// It is, with smaller figures or without what became of it; its count grew by this.
    Figures { count: u32 },
    /// It is.
    Nothing,
}

/// Whether two are the same decision, told at different times.
fn is_same(a: &EgressDecision, b: &EgressDecision) -> bool {
    (a.serial, a.at_ms) == (b.serial, b.at_ms)
}

/// Adds a decision at the end, or puts it in the place of what was known of it before.
fn put(kept: &mut VecDeque<EgressDecision>, decision: EgressDecision) {
    match kept.iter_mut().rev().find(|known| is_same(known, &decision)) {
        Some(known) => *known = decision,
        None => kept.push_back(decision),
    }
}

impl Trail {
    /// Goes on with what an earlier daemon wrote.
    pub(super) fn open(directory: &Path) -> Self {
        let path = directory.join("egress.jsonl");
        let mut kept = read(&path);
        kept.drain(..kept.len().saturating_sub(KEPT));
        Self { path, largest: LARGEST, kept }
    }

    /// Takes in a decision, in the place of what was known of it before. A log that cannot be written changes nothing of
    /// what is enforced.
    pub(super) fn add(&mut self, decision: EgressDecision) {
        if let Err(cause) = self.write(&decision) {
            tracing::warn!(%cause, path = %self.path.display(), "a decision could not be logged");
        }
        put(&mut self.kept, decision);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// What a decision adds: its gateway tells its last ones to every new conversation, and each again when its count or
    /// the bytes of its connection are final, or when it did not get to where it was allowed to.
    pub(super) fn news(&self, decision: &EgressDecision) -> News {
        let Some(kept) = self.kept.iter().rev().find(|kept| is_same(kept, decision)) else { return News::All };
        let figures = |of: &EgressDecision| [u64::from(of.count), of.bytes_up, of.bytes_down];
        let is_explained = decision.reason.is_some() && kept.reason.is_none();
        if is_explained || figures(decision).iter().zip(figures(kept)).any(|(now, before)| *now > before) {
            News::Figures { count: decision.count.saturating_sub(kept.count) }
        } else {
            News::Nothing
        }
    }

    /// The last `limit`, the newest last; only those that were refused when `blocked`.
    pub(super) fn last(&self, limit: usize, blocked: bool) -> Vec<EgressDecision> {
        let fits = |decision: &&EgressDecision| !blocked || decision.action == EgressAction::Deny;
        let mut last: Vec<_> = self.kept.iter().rev().filter(fits).take(limit).cloned().collect();
        last.reverse();
        last
    }

    fn write(&self, decision: &EgressDecision) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(decision)?;
        line.push(b'\n');
        let mut file = self.file()?;
        if file.metadata()?.len() > self.largest {
            fs::rename(&self.path, self.path.with_extension("1.jsonl"))?;
            file = self.file()?;
        }
        file.write_all(&line)
    }

    fn file(&self) -> std::io::Result<File> {
        let mut options = File::options();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        options.open(&self.path)
    }
}

/// The last decisions of a file, each once with its last figures; lines that cannot be understood are left out.
fn read(path: &Path) -> VecDeque<EgressDecision> {
    let lines = || -> std::io::Result<Vec<EgressDecision>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let lines = BufReader::new(file.take(TAIL)).split(b'\n');
        Ok(lines.map_while(Result::ok).filter_map(|line| serde_json::from_slice(&line).ok()).collect::<Vec<_>>())
    };
    let mut last = VecDeque::<EgressDecision>::new();
    let mut places = HashMap::new();
    for decision in lines().unwrap_or_default() {
        match places.entry((decision.serial, decision.at_ms)) {
            Entry::Occupied(place) => last[*place.get()] = decision,
            Entry::Vacant(place) => {
                place.insert(last.len());
                last.push_back(decision);
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::fake::decision;

    #[test]
    fn decisions_are_kept_filtered_and_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut trail = Trail::open(directory.path());
        for serial in 0..1200 {
            let action = if serial % 2 == 0 { EgressAction::Allow } else { EgressAction::Deny };
            trail.add(decision(serial, "example.com", action));
        }
        assert_eq!(trail.last(5000, false).len(), KEPT);
        let blocked = trail.last(2, true);
        assert_eq!(blocked.iter().map(|decision| decision.serial).collect::<Vec<_>>(), [1197, 1199]);
        let again = Trail::open(directory.path());
        assert_eq!(again.last(5000, false), trail.last(5000, false));
        assert_eq!(again.news(&blocked[0]), News::Nothing);
        assert_eq!(again.news(&decision(5000, "example.com", EgressAction::Deny)), News::All);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(directory.path().join("egress.jsonl")).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn final_figures_take_the_place_of_the_first_ones() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut trail = Trail::open(directory.path());
        let first = decision(1, "a.example", EgressAction::Allow);
        let last = EgressDecision { count: 3, bytes_up: 10, bytes_down: 20, ..first.clone() };
        trail.add(first.clone());
        trail.add(decision(2, "b.example", EgressAction::Allow));
        assert_eq!(trail.news(&last), News::Figures { count: 2 });
        assert_eq!(trail.news(&EgressDecision { bytes_up: 1, ..first.clone() }), News::Figures { count: 0 });
        let explained = EgressDecision { reason: Some("unreachable".to_owned()), ..first.clone() };
        assert_eq!(trail.news(&explained), News::Figures { count: 0 });
        trail.add(last.clone());
        assert_eq!((trail.news(&last), trail.news(&first)), (News::Nothing, News::Nothing));
        let expected = [last, decision(2, "b.example", EgressAction::Allow)];
        assert_eq!(trail.last(10, false), expected);
        assert_eq!(Trail::open(directory.path()).last(10, false), expected, "the file says it once, too");
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut trail = Trail { largest: 1000, ..Trail::open(directory.path()) };
        for serial in 0..50 {
            trail.add(decision(serial, "example.com", EgressAction::Deny));
        }
        let sizes: u64 = fs::read_dir(directory.path())
            .expect("list")
            .flatten()
            .map(|file| file.metadata().expect("size").len())
            .sum();
        assert!(sizes < 3000, "{sizes}");
        fs::write(directory.path().join("egress.jsonl"), "{\"half").expect("written");
        assert!(Trail::open(directory.path()).last(10, false).is_empty());
    }
}
