//! The single checks of `health`. Each looks at one thing and says what it saw.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::linux::health::Check;
use crate::linux::signals;

const MIB: u64 = 1 << 20;

/// More than `claude --version` ever prints.
const ANSWER_LIMIT: u64 = 4096;

/// Whether the project is really there, and not an empty directory where it should be.
pub(crate) fn workspace_mounted(workspace: &Path) -> Check {
    let outcome = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| format!("cannot read the mount table: {error}"))
        .and_then(|table| {
            let path = std::path::absolute(workspace).map_err(|error| error.to_string())?;
            mount_of(&table, &path)
        });
    Check::of("workspace-mounted", outcome)
}

/// Finds the workspace's mount in the text of `/proc/self/mountinfo` (format: proc(5)).
fn mount_of(table: &[u8], workspace: &Path) -> Result<String, String> {
    let mut best: Option<(PathBuf, PathBuf)> = None;
    for line in table.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ').skip(3);
        let (Some(source), Some(place)) = (fields.next(), fields.next()) else { continue };
        let place = unescape(place);
        // A later line over the same place hides the earlier one.
        let is_nearer = best.as_ref().is_none_or(|(known, _)| place.components().count() >= known.components().count());
        if workspace.starts_with(&place) && is_nearer {
            best = Some((place, unescape(source)));
        }
    }
    match best {
        None => Err("the mount table names no mount for it".to_owned()),
        Some((place, _)) if place == Path::new("/") => Err(format!("nothing is mounted at {}", workspace.display())),
        Some((_, source)) if source.as_os_str().as_bytes().ends_with(b"//deleted") => {
            Err("the project directory was removed or replaced on the host".to_owned())
        }
        Some((place, _)) => Ok(format!("mounted at {}", place.display())),
    }
}

/// Everything that something is mounted at, from the text of `/proc/self/mountinfo`.
pub(crate) fn mount_points(table: &[u8]) -> HashSet<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape).collect()
}

/// Spaces, tabs, newlines and backslashes stand in the mount table as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = if *first == b'\\' { tail.get(..3) } else { None };
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

/// Whether a file can be created and filled in the directory.
pub(crate) fn writable(name: &'static str, directory: &Path) -> Check {
    let outcome = open_directory(directory).and_then(|opened| write_test_file(&opened));
    let outcome = match outcome {
        Ok(()) => Ok(format!("{} is writable", directory.display())),
        Err(error) => Err(format!("cannot write in {}: {error}", directory.display())),
    };
    Check::of(name, outcome)
}

fn open_directory(directory: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// A file without a name disturbs no file watcher. Where the file system has none of these, one that cannot be anybody
/// else's: created new, never through a symlink, and removed by the directory it was made in.
fn write_test_file(directory: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::openat(directory, ".", flags | OFlags::TMPFILE, mode) {
        Ok(file) => write_byte(file),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT | Errno::NOSYS) => {
            let name = test_file_name();
            let file =
                rustix::fs::openat(directory, &name, flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, mode)?;
            let written = write_byte(file);
            rustix::fs::unlinkat(directory, &name, AtFlags::empty())?;
            written
        }
        Err(error) => Err(error),
    }
}

fn write_byte(file: OwnedFd) -> Result<(), Errno> {
    let written = std::fs::File::from(file).write_all(b"\n");
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn test_file_name() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut name = String::from(".boxwood-health-");
    let _ = write!(name, "{:x}-{:x}", std::process::id(), now.as_nanos());
    name
}

/// Whether the workspace's disk has room. Counts what this user may still use, not what is reserved for root.
pub(crate) fn disk(workspace: &Path, min_free_bytes: u64) -> Check {
    let free = open_directory(workspace).and_then(|opened| {
        let status = rustix::fs::fstatvfs(&opened)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    });
    let outcome = match free {
        Ok(free) if free >= min_free_bytes => Ok(format!("{} MiB free", free / MIB)),
        Ok(free) => Err(format!("{} MiB free, {} MiB wanted", free / MIB, min_free_bytes / MIB)),
        Err(error) => Err(format!("cannot look at {}: {error}", workspace.display())),
    };
    let mut check = Check::of("workspace-disk", outcome);
    check.free_bytes = free.ok();
    check
}

/// Whether claude starts and says its version in time.
pub(crate) fn claude(program: &Path, timeout: Duration) -> Check {
    let mut command = Command::new(program);
    command.arg("--version").env("DISABLE_AUTOUPDATER", "1");
    Check::of("claude", answer_of(command, timeout))
}

fn answer_of(mut command: Command, timeout: Duration) -> Result<String, String> {
    let deadline = Instant::now() + timeout;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn();
    let mut child =
        child.map_err(|error| format!("cannot start {}: {error}", Path::new(command.get_program()).display()))?;
    if !ends_before(Pid::from_child(&child), deadline)? {
        // It is ours and not yet waited for, so the number cannot be another process's.
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("no answer within {} seconds", timeout.as_secs()));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let mut answer = String::new();
    if let Some(stdout) = child.stdout.take() {
        // What it left in the pipe; a grandchild that keeps the pipe open is not waited for.
        let _ = rustix::io::ioctl_fionbio(&stdout, true);
        let _ = stdout.take(ANSWER_LIMIT).read_to_string(&mut answer);
    }
    match (status.success(), answer.trim()) {
        (true, "") => Err("it said nothing".to_owned()),
        (true, answer) => Ok(answer.to_owned()),
        (false, _) => Err(format!("it ended with {status}")),
    }
}

fn ends_before(pid: Pid, deadline: Instant) -> Result<bool, String> {
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|error| error.to_string())?;
    loop {
        let mut entries = [PollFd::new(&process, PollFlags::IN)];
        let left = deadline.saturating_duration_since(Instant::now());
        signals::wait(&mut entries, Some(left)).map_err(|error| error.to_string())?;
        if !entries[0].revents().is_empty() {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
23 1 0:21 / / rw,relatime - overlay overlay rw
24 23 0:22 / /proc rw,nosuid - proc proc rw
30 23 8:1 /home/u/my\\040app /home/u/my\\040app rw,relatime - ext4 /dev/sda1 rw
31 23 8:1 /srv/gone//deleted /srv/gone rw,relatime - ext4 /dev/sda1 rw
";

    #[test]
    fn the_nearest_mount_decides() {
        let check = |path: &str, ok: bool, detail: &str| {
            let outcome = mount_of(TABLE, Path::new(path));
            assert_eq!(outcome.is_ok(), ok, "{path}");
            let (Ok(found) | Err(found)) = outcome;
            assert_eq!(found, detail);
        };
        check("/home/u/my app", true, "mounted at /home/u/my app");
        check("/home/u/my app/sub", true, "mounted at /home/u/my app");
        check("/home/u/my appendix", false, "nothing is mounted at /home/u/my appendix");
        check("/srv/gone", false, "the project directory was removed or replaced on the host");
    }

    #[test]
    fn mount_points_are_read() {
        let points = mount_points(TABLE);
        assert!(points.contains(Path::new("/home/u/my app")) && !points.contains(Path::new("/home/u")), "{points:?}");
    }

    #[test]
    fn escapes_are_read_and_broken_ones_left() {
        let check = |field: &[u8], expected: &str| assert_eq!(unescape(field), Path::new(expected));
        check(b"/a\\040b\\011c\\134d", "/a b\tc\\d");
        check(b"/a\\04", "/a\\04");
        check(b"/a\\9zz", "/a\\9zz");
    }

    #[test]
    fn writing_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("temporary directory");
        assert!(writable("home-writable", dir.path()).ok);
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 0);
    }

    #[test]
    fn a_directory_that_is_missing_or_read_only_by_nature_is_not_writable() {
        assert!(!writable("workspace-writable", Path::new("/nowhere/at/all")).ok);
        assert!(!writable("workspace-writable", Path::new("/proc/self")).ok);
    }

    #[test]
    fn the_disk_check_compares_and_tells() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let enough = disk(dir.path(), 0);
        assert!(enough.ok && enough.free_bytes.is_some(), "{enough:?}");
        let short = disk(dir.path(), u64::MAX);
        assert!(!short.ok && short.free_bytes.is_some(), "{short:?}");
        let absent = disk(Path::new("/nowhere/at/all"), 0);
        assert!(!absent.ok && absent.free_bytes.is_none(), "{absent:?}");
    }

    #[test]
    fn claude_has_to_answer_in_time() {
        let check = |script: &str, expected: Result<&str, &str>| {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(script);
            let answer = answer_of(command, Duration::from_secs(1));
            assert_eq!(answer.as_deref().map_err(String::as_str), expected, "{script}");
        };
        check("echo '9.9.9 (Claude Code)'", Ok("9.9.9 (Claude Code)"));
        check("exit 3", Err("it ended with exit status: 3"));
        check("true", Err("it said nothing"));
        check("exec tail -f /dev/null", Err("no answer within 1 seconds"));
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_open_is_not_waited_for() {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg("tail -f /dev/null & echo answered $!");
        let answer = answer_of(command, Duration::from_secs(20)).expect("answer");
        let grandchild = answer.strip_prefix("answered ").and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        rustix::process::kill_process(grandchild.expect("pid"), rustix::process::Signal::KILL).expect("kill");
    }

    #[test]
    fn a_missing_claude_is_said() {
        let found = claude(Path::new("/nowhere/claude"), Duration::from_secs(1));
        assert!(!found.ok && found.detail.starts_with("cannot start /nowhere/claude"), "{found:?}");
    }
}
