//! A pseudo-terminal with the program on it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Nothing here takes long; what does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal and the program that has it.
pub(crate) struct Terminal {
    keys: File,
    shown: Receiver<Vec<u8>>,
    screen: Vec<u8>,
    /// Everything that was shown, also what was waited for.
    all: Vec<u8>,
    line: OwnedFd,
    child: Child,
}

impl Terminal {
    /// Starts the program on a terminal of 100 columns and 30 rows.
    pub(crate) fn open(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a usable terminal");
        let name = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
        let line = File::options().read(true).write(true).open(name).expect("its line");
        let end = || Stdio::from(line.try_clone().expect("another end"));
        command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
        let keys = File::from(master);
        let mut output = keys.try_clone().expect("another end");
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let child = command.spawn().expect("it runs");
        let terminal = Self { keys, shown, screen: Vec::new(), all: Vec::new(), line: line.into(), child };
        terminal.resize(100, 30);
        terminal
    }

    /// Changes the size without telling the program.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keys, size).expect("a size");
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).expect("pressed");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("told");
    }

    /// Whether the terminal handles keys itself, as it does for a person at a prompt.
    pub(crate) fn is_cooked(&self) -> bool {
        tcgetattr(&self.line).expect("settings").local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Waits until `text` is shown, and forgets everything up to its end.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.screen.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(start) = found {
                self.screen.drain(..start + text.len());
                return;
            }
            match self.shown.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(piece) => {
                    self.all.extend(&piece);
                    self.screen.extend(piece);
                }
                Err(_) => panic!("{text:?} is not shown, but {:?}", String::from_utf8_lossy(&self.screen)),
            }
        }
    }

    /// Everything that was shown until now.
    pub(crate) fn shown(&mut self) -> String {
        self.all.extend(self.shown.try_iter().flatten());
        String::from_utf8_lossy(&self.all).into_owned()
    }

    /// Waits until the program ends.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        let _ = self.child.kill();
    }
}
