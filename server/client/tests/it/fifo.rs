//! A named pipe between a test and a script: either waits for the other's word, and a failed test waits for nobody.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both ends of a named pipe, so that a script can open it at any time.
pub(crate) struct Fifo {
    receiver: Receiver,
    sender: Sender,
}

impl Fifo {
    pub(crate) fn new(path: &Path) -> Self {
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo");
        assert!(made.success());
        let mut options = OpenOptions::new();
        let receiver = options.read_write(true).open_receiver(path).expect("receiver");
        let sender = options.open_sender(path).expect("sender");
        Self { receiver, sender }
    }

    /// Waits for the script's `echo >PATH`.
    pub(crate) async fn heard(&mut self) {
        tokio::time::timeout(PATIENCE, self.receiver.read_u8()).await.expect("a word in time").expect("a word");
    }

    /// Ends the script's `read <PATH`.
    pub(crate) async fn say(&mut self) {
        self.sender.write_all(b"\n").await.expect("said");
    }
}
