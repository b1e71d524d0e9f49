//! Tells when the policy's file changes: written in place, or replaced.

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::Event;

/// Watches a file for as long as somebody listens. Where that is not possible, it is told once and the file is read at
/// the next start only.
pub fn file(path: &Path, events: &Sender<Event>) {
    let (path, events) = (path.to_owned(), events.clone());
    let watched = open(&path).and_then(|(watch, name)| {
        std::thread::Builder::new().name("policy".to_owned()).spawn(move || follow(&watch, &name, &events)).map(drop)
    });
    if let Err(cause) = watched {
        eprintln!("boxwood-gateway: changes to the policy are not noticed: {cause}");
    }
}

/// Watches the directory, because a file that is replaced is another file.
fn open(path: &Path) -> io::Result<(OwnedFd, OsString)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(PathBuf::from("."), Into::into);
    let watch = inotify::init(CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, &directory, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO)?;
    Ok((watch, name))
}

fn follow(watch: &OwnedFd, name: &OsString, events: &Sender<Event>) {
    let mut buffer = [const { MaybeUninit::uninit() }; 4096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    while let Ok(event) = reader.next() {
        let is_it = event.file_name().is_some_and(|other| other.to_bytes() == name.as_bytes());
        if is_it && events.send(Event::Policy).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_that_is_written_or_replaced_is_noticed_and_its_neighbours_are_not() {
        let directory = std::env::temp_dir().join(format!("boxwood-watch-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("made");
        let (events, happened) = mpsc::channel();
        let path = directory.join("policy.json");
        file(&path, &events);
        fs::write(directory.join("other"), "").expect("written");
        fs::write(&path, "{}").expect("written");
        let limit = Duration::from_secs(10);
        assert!(matches!(happened.recv_timeout(limit), Ok(Event::Policy)));
        fs::rename(directory.join("other"), &path).expect("replaced");
        assert!(matches!(happened.recv_timeout(limit), Ok(Event::Policy)));
        fs::remove_dir_all(&directory).expect("removed");
    }
}
