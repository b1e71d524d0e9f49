//! What is below a directory that an agent writes to, at the moment at which it is opened: names may be given to something
//! else at any time, so no link on the way is followed, and what was opened is what is looked at.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What has a name there.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file, opened for reading.
    File(File),
    /// A link, and where it leads.
    Link(PathBuf),
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn checked(file: File) -> io::Result<Found> {
    match file.metadata()?.is_file() {
        true => Ok(Found::File(file)),
        false => Err(refused("it is not a file")),
    }
}

/// Opens what is at `path` below `root`, which itself is where no agent can put something else.
#[cfg(unix)]
pub(crate) fn open_beneath(root: &Path, path: &Path) -> io::Result<Found> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::Component;

    use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
    use rustix::io::Errno;

    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut directory = openat(CWD, root, read | OFlags::DIRECTORY, Mode::empty())?;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(refused("its path leads out of the project")) };
        if names.peek().is_some() {
            let opened = openat(&directory, name, read | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
            directory = opened.map_err(|cause| match cause {
                Errno::LOOP | Errno::MLINK | Errno::NOTDIR => refused("a link on the way to it is not followed"),
                cause => cause.into(),
            })?;
            continue;
        }
        // A pipe without a writer is opened at once like this, and turned away.
        return match openat(&directory, name, read | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty()) {
            Ok(opened) => checked(opened.into()),
            Err(Errno::LOOP | Errno::MLINK) => {
                let target = readlinkat(&directory, name, Vec::new())?;
                Ok(Found::Link(OsString::from_vec(target.into_bytes()).into()))
            }
            Err(cause) => Err(cause.into()),
        };
    }
    Err(refused("it is not a file"))
}

/// The same by paths. Where engines run in a machine of their own, what an agent makes there is no link for this system.
#[cfg(not(unix))]
pub(crate) fn open_beneath(root: &Path, path: &Path) -> io::Result<Found> {
    let path = root.join(path);
    match path.symlink_metadata()?.is_symlink() {
        true => Ok(Found::Link(path.read_link()?)),
        false => checked(File::open(&path)?),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_told_and_never_followed() {
        let root = tempfile::tempdir().expect("a directory");
        let (project, outside) = (root.path().join("project"), root.path().join("outside"));
        for directory in [&project.join("sub"), &outside] {
            fs::create_dir_all(directory).expect("made");
            fs::write(directory.join("file"), directory.file_name().expect("a name").as_encoded_bytes())
                .expect("written");
        }
        symlink(&outside, project.join("away")).expect("linked");
        symlink("../../outside/file", project.join("sub/link")).expect("linked");
        rustix::fs::mkfifoat(rustix::fs::CWD, project.join("pipe"), rustix::fs::Mode::RWXU).expect("made");
        let open = |path: &str| open_beneath(&project, Path::new(path));
        let Ok(Found::File(mut file)) = open("sub/file") else { panic!("a file") };
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "sub");
        let Ok(Found::Link(target)) = open("sub/link") else { panic!("a link") };
        assert_eq!(target, Path::new("../../outside/file"));
        for path in ["away/file", "sub/../../outside/file", "/etc/hostname", "sub", "pipe", "none", ""] {
            assert!(open(path).is_err(), "{path}");
        }
        // The same where the name of a directory is given to a link after it was looked at.
        fs::rename(project.join("sub"), project.join("aside")).expect("renamed");
        symlink(&outside, project.join("sub")).expect("linked");
        assert!(open("sub/file").is_err());
    }
}
