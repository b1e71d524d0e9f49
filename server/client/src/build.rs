//! Which program this is: its version, and what tells two builds of one version apart.

use std::cmp::Ordering;
use std::time::UNIX_EPOCH;

use boxwood_protocol::PROTOCOL_VERSION;
use boxwood_protocol::params::HelloResult;

/// Identifies this program file: `<version>+<nanoseconds of its last change since 1970>`.
#[must_use]
pub fn build_id() -> String {
    Build::current().id()
}

/// A program's identity, comparable by age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Version of the program.
    pub version: String,
    /// [`PROTOCOL_VERSION`] it speaks.
    pub protocol: u32,
    /// When its file was last changed, nanoseconds since 1970; 0 when that is unknown.
    pub changed: u128,
}

/// What a client does about the daemon it met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Talks to it.
    Use,
    /// Asks it to leave and starts its own.
    Replace,
    /// Gives up: it is newer and speaks another protocol.
    Refuse,
}

impl Build {
    /// This process. The file is looked at when asked, so a process that wants to know what it was started from asks
    /// before the file can be replaced.
    #[must_use]
    pub fn current() -> Self {
        let changed = std::env::current_exe()
            .and_then(|path| path.metadata())
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL_VERSION,
            changed: changed.map_or(0, |since| since.as_nanos()),
        }
    }

    /// The identity as it crosses the wire.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}+{}", self.version, self.changed)
    }

    /// What to do about a daemon that introduced itself so.
    #[must_use]
    pub fn judge(&self, daemon: &HelloResult) -> Verdict {
        let is_newer = match compare(&self.version, &daemon.version) {
            Ordering::Equal => self.changed > changed_of(&daemon.build),
            order => order == Ordering::Greater,
        };
        match (is_newer, self.protocol == daemon.protocol) {
            (true, _) => Verdict::Replace,
            (false, true) => Verdict::Use,
            (false, false) => Verdict::Refuse,
        }
    }
}

/// Orders two versions; one that cannot be read is older than any that can.
fn compare(ours: &str, theirs: &str) -> Ordering {
    let read = |version: &str| semver::Version::parse(version).ok();
    read(ours).cmp(&read(theirs))
}

fn changed_of(build: &str) -> u128 {
    build.rsplit_once('+').and_then(|(_, changed)| changed.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ours: (&str, u32, u128), theirs: (&str, u32, &str), expected: Verdict) {
        let build = Build { version: ours.0.to_owned(), protocol: ours.1, changed: ours.2 };
        let daemon =
            HelloResult { version: theirs.0.to_owned(), protocol: theirs.1, pid: 1, build: theirs.2.to_owned() };
        assert_eq!(build.judge(&daemon), expected, "{ours:?} meets {theirs:?}");
    }

    #[test]
    fn the_newer_program_wins() {
        check(("0.1.0", 1, 5), ("0.1.0", 1, "0.1.0+5"), Verdict::Use);
        check(("0.1.0", 1, 5), ("0.1.0", 1, "0.1.0+4"), Verdict::Replace);
        check(("0.1.0", 1, 5), ("0.1.0", 1, "0.1.0+6"), Verdict::Use);
        check(("0.2.0", 1, 5), ("0.1.9", 1, "0.1.9+6"), Verdict::Replace);
        check(("0.2.0", 1, 5), ("0.10.0", 1, "0.10.0+1"), Verdict::Use);
        check(("0.2.0", 1, 5), ("0.2.0-rc.1", 1, "0.2.0-rc.1+9"), Verdict::Replace);
    }

    #[test]
    fn another_protocol_is_replaced_when_older_and_refused_when_newer() {
        check(("0.2.0", 2, 5), ("0.1.0", 1, "0.1.0+9"), Verdict::Replace);
        check(("0.1.0", 1, 5), ("0.2.0", 2, "0.2.0+1"), Verdict::Refuse);
    }

    #[test]
    fn an_unreadable_version_is_the_oldest() {
        check(("0.1.0", 1, 5), ("nonsense", 1, "nonsense"), Verdict::Replace);
        check(("0.1.0", 1, 5), ("0.1.0", 1, "no-number"), Verdict::Replace);
    }
}
