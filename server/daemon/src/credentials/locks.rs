//! Claude Code's own locks. Whoever writes its credential file, or keeps its login from being renewed, holds them meanwhile.
//!
//! Found in Claude Code 2.1.329: a lock is a directory, because making one succeeds for one only. Its holder touches it
//! regularly, and one that was not touched for long is taken over. Writing the file takes `.storage-write.lock`; renewing the
//! login takes `.oauth_refresh.lock` and then the lock of older versions beside the directory, `.claude.lock`. Who holds the
//! former stands in `.oauth_refresh.lock.owner`. We write no such record: it is there to have the lock of a dead process
//! taken over early, and without one Claude Code waits until the lock is stale, which is right for ours.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::guarded;

pub(crate) mod gate;
pub(crate) mod notes;

/// What is to be done under a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Writing the credential file.
    Write,
    /// Keeping the login as it is: nobody renews it meanwhile.
    Refresh,
}

/// What locks are called in the directory that they are around.
pub(crate) const NAMES: [&str; 2] = [Purpose::Write.name(), Purpose::Refresh.name()];
/// File that says who holds the lock of a refresh.
const OWNER: &str = ".oauth_refresh.lock.owner";
/// Largest such file.
const MAX_OWNER: usize = 4096;
/// What locks are called until they are written down.
#[cfg(any(target_os = "linux", target_os = "macos"))]
const ASIDE: &str = ".boxwood-lock-";
/// How long to wait before a held lock is looked at again, at first and at most. Nothing announces that it is free.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How a lock is kept.
#[derive(Debug, Clone, Copy)]
struct Habits {
    /// After how long without a touch it is nobody's.
    stale: Duration,
    /// How often it is touched.
    touch: Duration,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Write => ".storage-write.lock",
            Self::Refresh => ".oauth_refresh.lock",
        }
    }

    /// Claude Code's own.
    const fn habits(self) -> Habits {
        match self {
            Self::Write => Habits { stale: Duration::from_secs(15), touch: Duration::from_millis(7500) },
            Self::Refresh => Habits { stale: Duration::from_secs(60), touch: Duration::from_secs(5) },
        }
    }
}

/// Why a lock was not had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Somebody holds it.
    Held {
        /// The lock.
        path: PathBuf,
        /// The process, where it says so.
        pid: Option<u32>,
        /// How long ago it was touched.
        touched: Duration,
    },
    /// It cannot be made.
    Failed(PathBuf, io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { path, pid, touched } => {
                match pid {
                    Some(pid) => write!(f, "Claude Code, process {pid}, holds ")?,
                    None => f.write_str("another process, probably Claude Code, holds ")?,
                }
                write!(f, "{} and was there {} s ago; try again in a moment", path.display(), touched.as_secs())
            }
            Self::Failed(path, cause) => write!(f, "failed to take the lock {}: {cause}", path.display()),
        }
    }
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Vec<Directory>,
    /// The gate within which nobody else can do what the lock is for.
    within: Option<Directory>,
    lost: watch::Receiver<bool>,
    toucher: JoinHandle<()>,
}

impl Lock {
    /// Whether somebody else took it over or away. What is done under it must then not be finished.
    pub(crate) fn is_lost(&self) -> bool {
        *self.lost.borrow() || !self.held.iter().chain(&self.within).all(Directory::is_ours)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.toucher.abort();
        // The last one first, as Claude Code does. What is no longer ours stays.
        for directory in self.held.iter().rev() {
            directory.give_back();
        }
    }
}

/// Takes a lock around `storage`, the directory of Claude Code's credential file, and waits for it at most for `patience`.
pub(crate) async fn take(storage: &Path, purpose: Purpose, patience: Duration) -> Result<Lock, LockError> {
    take_with(storage, purpose, patience, purpose.habits()).await
}

async fn take_with(storage: &Path, purpose: Purpose, patience: Duration, habits: Habits) -> Result<Lock, LockError> {
    patiently(patience, || {
        if purpose == Purpose::Refresh
            && let Some(gate) = gate::closed(storage)
        {
            let mut lock = hold(Vec::new(), habits);
            lock.within = Some(gate);
            return Ok(lock);
        }
        attempt(storage, purpose, habits).map(|held| hold(held, habits))
    })
    .await
}

/// Tries again for as long as somebody holds what is wanted, but not for longer than that.
async fn patiently<T>(patience: Duration, mut attempt: impl FnMut() -> Result<T, LockError>) -> Result<T, LockError> {
    let deadline = Instant::now() + patience;
    let mut pause = PAUSES.0;
    loop {
        let cause = match attempt() {
            Err(cause @ LockError::Held { .. }) => cause,
            done => return done,
        };
        if Instant::now() + pause > deadline {
            return Err(cause);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn attempt(storage: &Path, purpose: Purpose, habits: Habits) -> Result<Vec<Directory>, LockError> {
    let who = || if purpose == Purpose::Refresh { owner(storage) } else { None };
    let first = Directory::make(storage.join(purpose.name()), habits).map_err(|cause| cause.told(who))?;
    let mut held = vec![first];
    if purpose == Purpose::Refresh {
        match Directory::make(older(storage), habits) {
            Ok(directory) => held.push(directory),
            Err(Refused::Held(path, touched)) => {
                for directory in held {
                    directory.give_back();
                }
                return Err(LockError::Held { path, pid: None, touched });
            }
            // Where nothing can be made beside the directory, older versions cannot either; Claude Code goes on, too.
            Err(Refused::Failed(path, cause)) => {
                tracing::debug!(path = %path.display(), %cause, "the lock of older versions cannot be taken");
            }
        }
    }
    Ok(held)
}

/// The lock of older versions: the directory's own path, links resolved, with an ending.
fn older(storage: &Path) -> PathBuf {
    let mut path = OsString::from(storage.canonicalize().unwrap_or_else(|_| storage.to_path_buf()));
    path.push(".lock");
    PathBuf::from(path)
}

fn hold(held: Vec<Directory>, habits: Habits) -> Lock {
    let (tell, lost) = watch::channel(false);
    let touched = held.clone();
    let toucher = tokio::spawn(async move {
        let mut clock = tokio::time::interval(habits.touch);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        clock.tick().await;
        loop {
            clock.tick().await;
            if !touched.iter().all(Directory::touch) {
                tracing::warn!("a lock of Claude Code's was lost");
                let _ = tell.send(true);
                return;
            }
        }
    });
    Lock { held, within: None, lost, toucher }
}

/// One directory that is a lock.
#[derive(Debug, Clone)]
struct Directory {
    path: PathBuf,
    mark: Mark,
}

/// Why a directory was not made.
enum Refused {
    Held(PathBuf, Duration),
    Failed(PathBuf, io::Error),
}

impl Refused {
    fn told(self, owner: impl FnOnce() -> Option<u32>) -> LockError {
        match self {
            Self::Held(path, touched) => LockError::Held { path, pid: owner(), touched },
            Self::Failed(path, cause) => LockError::Failed(path, cause),
        }
    }
}

impl Directory {
    /// Makes it, in the place of one that is stale.
    fn make(path: PathBuf, habits: Habits) -> Result<Self, Refused> {
        // Three times: one that vanished while it was looked at, and one that was stale, leave a free place.
        for _ in 0..3 {
            match create(&path) {
                Ok(mark) => return Ok(Self { path, mark }),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(Refused::Failed(path, cause)),
            }
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                Err(cause) => return Err(Refused::Failed(path, cause)),
            };
            if !metadata.is_dir() {
                let cause = io::Error::new(io::ErrorKind::AlreadyExists, "something that is no lock has its name");
                return Err(Refused::Failed(path, cause));
            }
            let touched = age(&metadata);
            if touched <= habits.stale {
                return Err(Refused::Held(path, touched));
            }
            // Whoever was quicker has made its own meanwhile, which is not the one that was stale.
            if fs::symlink_metadata(&path).is_ok_and(|now| age(&now) <= habits.stale) {
                continue;
            }
            match fs::remove_dir(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(Refused::Failed(path, cause)),
                _ => tracing::info!(path = %path.display(), "took over a lock that nobody held any more"),
            }
        }
        Err(Refused::Held(path, Duration::ZERO))
    }

    /// Gives it back, unless it is no longer ours.
    fn give_back(&self) {
        if self.is_ours()
            && let Err(cause) = fs::remove_dir(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %cause, "a lock of Claude Code's was not given back");
        }
        notes::forget(&self.mark);
    }

    /// Whether it is the directory that was made, and not one that somebody made after taking it away.
    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|metadata| Mark::of(&metadata) == self.mark)
    }

    /// Says that it is still held. False when it is not.
    fn touch(&self) -> bool {
        let now = fs::FileTimes::new().set_modified(SystemTime::now());
        let mut options = fs::OpenOptions::new();
        #[cfg(unix)]
        options.read(true);
        // There, a directory is opened only by who says that it is one, to write its attributes and nothing else.
        #[cfg(windows)]
        std::os::windows::fs::OpenOptionsExt::custom_flags(
            std::os::windows::fs::OpenOptionsExt::access_mode(&mut options, 0x0100),
            0x0200_0000,
        );
        self.is_ours() && options.open(&self.path).and_then(|directory| directory.set_times(now)).is_ok()
    }
}

/// What a directory is known again by although it is touched: where it is on the disk, and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    inode: u64,
    born: Option<SystemTime>,
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { inode, born: metadata.created().ok() }
    }
}

/// Makes a lock, and writes it down before it is one where that can be done: a daemon that is killed then leaves none that the
/// next one does not know to be its.
fn create(path: &Path) -> io::Result<Mark> {
    match create_aside(path) {
        Err(cause) if cause.kind() == io::ErrorKind::Unsupported => {
            fs::create_dir(path)?;
            let mark = Mark::of(&fs::symlink_metadata(path)?);
            notes::write(path, None, &mark);
            Ok(mark)
        }
        done => done,
    }
}

/// Makes it under another name, and gives it its own when it is written down.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn create_aside(path: &Path) -> io::Result<Mark> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    let aside = path.with_file_name(format!("{ASIDE}{}", crate::sys::trace_id()));
    fs::create_dir(&aside)?;
    let made = fs::symlink_metadata(&aside).and_then(|metadata| {
        let mark = Mark::of(&metadata);
        notes::write(path, Some(&aside), &mark);
        // Never in the place of one that is there, which is somebody else's.
        let renamed = renameat_with(CWD, &aside, CWD, path, RenameFlags::NOREPLACE).map_err(|cause| match cause {
            Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => io::ErrorKind::Unsupported.into(),
            cause => io::Error::from(cause),
        });
        renamed.inspect_err(|_| notes::forget(&mark)).map(|()| mark)
    });
    if made.is_err() {
        // It is empty, and nobody knows its name.
        let _ = fs::remove_dir(&aside);
    }
    made
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn create_aside(_path: &Path) -> io::Result<Mark> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How long ago it was touched; one from the future was touched now.
fn age(metadata: &Metadata) -> Duration {
    metadata.modified().ok().and_then(|touched| touched.elapsed().ok()).unwrap_or_default()
}

/// The process that holds the lock of a refresh, as far as it says so.
fn owner(storage: &Path) -> Option<u32> {
    #[derive(Deserialize)]
    struct Record {
        pid: u32,
    }
    let text = guarded::read_text(storage, &[OWNER], MAX_OWNER).ok().flatten()?;
    serde_json::from_str::<Record>(&text).ok().map(|record| record.pid)
}

#[cfg(all(test, unix))]
mod tests;
