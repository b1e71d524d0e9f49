//! The log files: JSON lines, kept within bounds, shared by all processes of a role.
//!
//! A line is written before the call returns, so a process that is killed has said everything it knew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// A file is put aside when it has grown to this many bytes.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// How many files are kept beside the current one.
const KEPT_FILES: u32 = 4;

/// Variable with the filter for the file, for example `debug` or `boxwood_daemon=trace`.
pub const FILTER_VARIABLE: &str = "BOXWOOD_LOG";

/// Sends what is traced to `<directory>/<role>.log`, and warnings to standard error.
///
/// # Errors
///
/// When the file cannot be opened or the process already has a log.
pub fn init(directory: &Path, role: &str) -> io::Result<()> {
    let file = RotatingFile::open(directory, role, LARGEST_FILE)?;
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info,jsonrpsee=warn"));
    let to_file = fmt::layer().json().flatten_event(true).with_writer(Mutex::new(file)).with_filter(filter);
    let to_person = fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(io::stderr)
        .with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(to_file).with(to_person).try_init().map_err(io::Error::other)
}

/// A file that is put aside when it is full: `daemon.log`, then `daemon.log.1` and so on, the oldest dropped.
struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    largest: u64,
}

impl RotatingFile {
    fn open(directory: &Path, role: &str, largest: u64) -> io::Result<Self> {
        make_private_directory(directory)?;
        let path = directory.join(format!("{role}.log"));
        let file = open_private(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, largest })
    }

    /// Another process of the same role may have put the file aside already; then only the new one is opened.
    fn rotate(&mut self) -> io::Result<()> {
        if is_same_file(&self.file, &self.path) {
            for number in (0..KEPT_FILES).rev() {
                // A gap in the row is no fault.
                let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
            }
        }
        self.file = open_private(&self.path)?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        match number {
            0 => self.path.clone(),
            number => self.path.with_extension(format!("log.{number}")),
        }
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + line.len() as u64 > self.largest {
            self.rotate()?;
        }
        let written = self.file.write(line)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(unix)]
fn make_private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn make_private_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

/// Opens a file of the log directory for appending; only this user can read it.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn is_same_file(file: &File, path: &Path) -> bool {
    let ours = file.try_clone().and_then(same_file::Handle::from_file);
    ours.and_then(|ours| Ok(ours == same_file::Handle::from_path(path)?)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_dropped() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut file = RotatingFile::open(directory.path(), "lsp", 10).expect("opened");
        for number in 0..7 {
            file.write_all(format!("line {number}\n").as_bytes()).expect("written");
        }
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
        assert_eq!(read("lsp.log").as_deref(), Some("line 6\n"));
        assert_eq!(read("lsp.log.1").as_deref(), Some("line 5\n"));
        assert_eq!(read("lsp.log.4").as_deref(), Some("line 2\n"));
        assert_eq!(read("lsp.log.5"), None);
    }

    #[test]
    fn two_processes_put_a_file_aside_once() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut first = RotatingFile::open(directory.path(), "lsp", 10).expect("opened");
        let mut second = RotatingFile::open(directory.path(), "lsp", 10).expect("opened");
        first.write_all(b"first 1\n").expect("written");
        first.write_all(b"first 2\n").expect("written");
        second.write_all(b"2nd 1\n").expect("written");
        second.write_all(b"2nd 2\n").expect("written");
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        assert_eq!(read("lsp.log"), "first 2\n2nd 2\n");
        assert_eq!(read("lsp.log.1"), "first 1\n2nd 1\n");
        assert_eq!(read("lsp.log.2"), "");
    }
}
