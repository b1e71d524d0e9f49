//! Reading files that hold secrets, or that somebody else may have put something in the place of: no link is followed, nobody
//! waits for a pipe, nothing large is read, and what was read is overwritten when it goes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// What was read.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// Reads the file at `beneath`, the names of directories and of the file itself, below `root`. `None` when it is not there.
/// The way to `root` may have links in it, because the person arranges that; below it, a link is an error.
pub(super) fn read(root: &Path, beneath: &[&str], most: usize) -> io::Result<Option<Bytes>> {
    let Some(file) = system::open(root, beneath)? else { return Ok(None) };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > most {
        return Err(too_large(most));
    }
    // As large as it may become at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most.min(length.saturating_mul(2).max(4096)) + 1));
    let room = bytes.capacity();
    file.take(room as u64).read_to_end(&mut bytes)?;
    if bytes.len() > most || bytes.len() == room { Err(too_large(most)) } else { Ok(Some(bytes)) }
}

/// Reads it as text.
pub(super) fn read_text(root: &Path, beneath: &[&str], most: usize) -> io::Result<Option<Zeroizing<String>>> {
    let Some(bytes) = read(root, beneath, most)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is a link or something else that is no file")
}

fn too_large(most: usize) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most} bytes"))
}

#[cfg(unix)]
mod system {
    use super::{File, Path, io, not_a_file};
    use rustix::fs::{CWD, Mode, OFlags};
    use rustix::io::Errno;

    const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

    pub(super) fn open(root: &Path, beneath: &[&str]) -> io::Result<Option<File>> {
        let Some((name, directories)) = beneath.split_last() else { return Err(not_a_file()) };
        let walk = || {
            let mut at = rustix::fs::openat(CWD, root, READ | OFlags::DIRECTORY, Mode::empty())?;
            for directory in directories {
                at = rustix::fs::openat(&at, *directory, READ | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            }
            // A pipe without a writer is opened at once like this; it is turned away by whoever looks at what was opened.
            rustix::fs::openat(&at, *name, READ | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
        };
        match walk() {
            Ok(opened) => Ok(Some(opened.into())),
            Err(Errno::NOENT) => Ok(None),
            // A link, or a socket or a device that is not there.
            Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR | Errno::NXIO | Errno::NODEV) => Err(not_a_file()),
            Err(cause) => Err(cause.into()),
        }
    }
}

#[cfg(not(unix))]
mod system {
    use super::{File, Path, io, not_a_file};

    pub(super) fn open(root: &Path, beneath: &[&str]) -> io::Result<Option<File>> {
        let mut path = root.to_path_buf();
        for (at, name) in beneath.iter().enumerate() {
            path.push(name);
            let metadata = match std::fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(cause) => return Err(cause),
            };
            let is_last = at + 1 == beneath.len();
            if (is_last && !metadata.is_file()) || (!is_last && !metadata.is_dir()) {
                return Err(not_a_file());
            }
        }
        File::open(&path).map(Some)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_files_of_a_proper_size_are_read() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("inner")).expect("made");
        fs::write(at("inner/file"), "0123456789").expect("written");
        let check = |beneath: &[&str], most: usize, expected: Result<Option<&str>, io::ErrorKind>| {
            let found = read_text(root.path(), beneath, most);
            let found = found.as_ref().map(|found| found.as_ref().map(|text| text.as_str()));
            assert_eq!(found.map_err(io::Error::kind), expected, "{beneath:?}");
        };
        check(&["inner", "file"], 10, Ok(Some("0123456789")));
        check(&["inner", "file"], 9, Err(io::ErrorKind::FileTooLarge));
        check(&["inner", "none"], 9, Ok(None));
        check(&["none", "file"], 9, Ok(None));
        check(&["inner"], 9, Err(io::ErrorKind::InvalidInput));
        check(&["inner", "file", "more"], 9, Err(io::ErrorKind::InvalidInput));
        symlink(at("inner/file"), at("link")).expect("linked");
        symlink(at("inner"), at("directory")).expect("linked");
        check(&["link"], 10, Err(io::ErrorKind::InvalidInput));
        check(&["directory", "file"], 10, Err(io::ErrorKind::InvalidInput));
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo").success());
        check(&["pipe"], 10, Err(io::ErrorKind::InvalidInput));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("bound");
        check(&["socket"], 10, Err(io::ErrorKind::InvalidInput));
        fs::write(at("bytes"), [0xff, 0xfe]).expect("written");
        check(&["bytes"], 10, Err(io::ErrorKind::InvalidData));
        // The way to the root is the person's own to arrange.
        let found = read(&at("directory"), &["file"], 10).expect("read").expect("there");
        assert_eq!(found.as_slice(), b"0123456789");
    }

    #[test]
    fn what_grows_without_end_is_not_read_without_end() {
        // A file whose size says nothing about what it gives.
        let found = read(Path::new("/proc/self"), &["maps"], 64);
        assert_eq!(found.map(|_| ()).map_err(|cause| cause.kind()), Err(io::ErrorKind::FileTooLarge));
    }
}
