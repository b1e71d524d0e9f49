//! By descriptors, which stay what they are when names are given to something else.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

pub(super) type Directory = OwnedFd;

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory in `parent`; makes one where there is none, also in the place of what is something else. Both are entered
/// whatever modes an agent gave them. The parent itself has its name where no agent is.
pub(super) fn open(parent: &Path, name: &str) -> io::Result<Directory> {
    let at = || rustix::fs::openat(CWD, parent, READ | OFlags::DIRECTORY, Mode::empty());
    let parent = match at() {
        Err(Errno::ACCESS) => {
            rustix::fs::chmod(parent, Mode::RWXU)?;
            at()?
        }
        opened => opened?,
    };
    if !Mode::from_raw_mode(rustix::fs::fstat(&parent)?.st_mode).contains(Mode::RWXU) {
        rustix::fs::fchmod(&parent, Mode::RWXU)?;
    }
    let open = || rustix::fs::openat(&parent, name, READ | OFlags::DIRECTORY, Mode::empty());
    let opened = match open() {
        Err(Errno::ACCESS) => {
            permit(&parent, name, Mode::RWXU)?;
            open()
        }
        opened => opened,
    };
    let opened = match opened {
        Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR) => {
            rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
            Err(Errno::NOENT)
        }
        opened => opened,
    };
    let opened = match opened {
        Err(Errno::NOENT) => {
            match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(cause) => return Err(cause.into()),
            }
            open()?
        }
        opened => opened?,
    };
    rustix::fs::fchmod(&opened, Mode::RWXU)?;
    Ok(opened)
}

/// Opens a file for reading; `None` when there is none, or something that is no file.
pub(super) fn read(directory: &Directory, name: &str) -> io::Result<Option<File>> {
    // A pipe without a writer is opened at once like this, and turned away below.
    let open = || rustix::fs::openat(directory, name, READ | OFlags::NONBLOCK, Mode::empty());
    let opened = match open() {
        Err(Errno::ACCESS) => {
            permit(directory, name, Mode::RUSR | Mode::WUSR)?;
            open()
        }
        opened => opened,
    };
    let opened = match opened {
        Ok(opened) => opened,
        // A link, a socket or a device that is not there.
        Err(Errno::NOENT | Errno::LOOP | Errno::MLINK | Errno::NXIO | Errno::NODEV) => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let is_file = FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode).is_file();
    Ok(is_file.then(|| opened.into()))
}

/// Lets the owner have what an agent took the modes from; a link is not followed.
#[cfg(target_os = "linux")]
fn permit(directory: impl AsFd, name: &str, mode: Mode) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    let found = rustix::fs::openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    // By its descriptor, which stays what it is when the name is given to something else.
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", found.as_raw_fd()), mode)?)
}

#[cfg(not(target_os = "linux"))]
fn permit(directory: impl AsFd, name: &str, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::chmodat(directory, name, mode, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Makes a file that is not there yet, with mode 0600.
pub(super) fn create(directory: &Directory, name: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// Renames a file, also over a link, which is then gone.
pub(super) fn rename(directory: &Directory, from: &str, to: &str) -> io::Result<()> {
    Ok(rustix::fs::renameat(directory, from, directory, to)?)
}

/// Moves what has a name to another directory, in the place of what has it there.
pub(super) fn rename_between(from: &Directory, to: &Directory, name: &str) -> io::Result<()> {
    Ok(rustix::fs::renameat(from, name, to, name)?)
}

/// Whether something has this name that is neither file nor directory.
pub(super) fn is_oddity(directory: &Directory, name: &str) -> io::Result<bool> {
    Ok(kind(directory, name)?.is_some_and(|kind| !matches!(kind, FileType::RegularFile | FileType::Directory)))
}

/// Whether a directory has this name.
pub(super) fn is_directory(directory: &Directory, name: &str) -> io::Result<bool> {
    Ok(kind(directory, name)? == Some(FileType::Directory))
}

fn kind(directory: &Directory, name: &str) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(cause) => Err(cause.into()),
    }
}

/// Removes what is no directory.
pub(super) fn unlink(directory: &Directory, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}
