//! The machine: user numbers, clock, random ids, memory.

use std::fs;
use std::io::Read as _;

/// The person's numbers, `uid:gid`; sandboxes run as them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The user of this process. On systems without numbers, those of a usual first user in a Linux image.
    pub(crate) fn current() -> Self {
        #[cfg(unix)]
        {
            Self { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() }
        }
        #[cfg(not(unix))]
        {
            Self { uid: 1000, gid: 1000 }
        }
    }

    /// `uid:gid`.
    pub(crate) fn spec(self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }
}

/// The time, RFC 3339 in UTC with milliseconds.
pub(crate) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// 32 random hexadecimal digits.
pub(crate) fn trace_id() -> String {
    let mut bytes = [0_u8; 16];
    let is_read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).is_ok();
    if !is_read {
        use std::hash::{BuildHasher as _, RandomState};
        bytes[..8].copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
        bytes[8..].copy_from_slice(&RandomState::new().hash_one(1).to_le_bytes());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Resident memory of this process in bytes, where the system tells.
pub(crate) fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Free bytes on the file system of `path`.
pub(crate) fn free_bytes(path: &std::path::Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(path).ok()?;
        Some(stat.f_bavail * stat.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Name of this machine's processor as Claude Code's packages have it: `x64` or `arm64`.
pub(crate) const fn node_arch(arch: &str) -> &'static str {
    if matches!(arch.as_bytes(), b"arm64" | b"aarch64") { "arm64" } else { "x64" }
}
