//! By descriptors, which stay what they are when names are given to something else.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

pub(super) type Directory = OwnedFd;

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory in `parent`; makes one where there is none, also in the place of what is something else.
pub(super) fn open(parent: &Path, name: &str) -> io::Result<Directory> {
    let parent = rustix::fs::openat(CWD, parent, READ | OFlags::DIRECTORY, Mode::empty())?;
    let open = || rustix::fs::openat(&parent, name, READ | OFlags::DIRECTORY, Mode::empty());
    let opened = match open() {
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
    let opened = match rustix::fs::openat(directory, name, READ | OFlags::NONBLOCK, Mode::empty()) {
        Ok(opened) => opened,
        // A link, a socket or a device that is not there.
        Err(Errno::NOENT | Errno::LOOP | Errno::MLINK | Errno::NXIO | Errno::NODEV) => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let is_file = FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode).is_file();
    Ok(is_file.then(|| opened.into()))
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
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(!matches!(FileType::from_raw_mode(found.st_mode), FileType::RegularFile | FileType::Directory)),
        Err(Errno::NOENT) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// Removes what is no directory.
pub(super) fn unlink(directory: &Directory, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}
