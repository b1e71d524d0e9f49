//! Claude Code's own item in the macOS Keychain, by the system's `security` program: it is the one that the item lets in
//! without a question, because Claude Code made it with the same. Compiled everywhere, so that it is tested everywhere.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use boxwood_core::credentials::Secret;
use boxwood_core::credentials::file::MAX_BYTES;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::super::process::{self, Bounds, Ran, RunError};
use super::{Failure, Store};

/// How long a person may take to answer the Keychain's dialog.
const PATIENCE: Duration = Duration::from_secs(30);
/// Exit status when there is no such item.
const NOT_FOUND: i32 = 44;
/// Exit status when the Keychain is locked and nobody can be asked, and when the person refused.
const LOCKED: [i32; 3] = [36, 51, 128];
/// Longest line that `security -i` takes; what is longer is cut into two commands.
const MAX_LINE: usize = 4095;

/// Items of one account, named by their service.
#[derive(Debug, Clone)]
pub(crate) struct Security {
    program: PathBuf,
    account: String,
    patience: Duration,
}

impl Security {
    /// The items of `account`.
    pub(crate) fn new(account: String) -> Self {
        Self { program: PathBuf::from("/usr/bin/security"), account, patience: PATIENCE }
    }

    /// The same with another program, for tests.
    #[cfg(all(test, unix))]
    pub(in crate::credentials) fn of_program(program: PathBuf, account: &str, patience: Duration) -> Self {
        Self { program, account: account.to_owned(), patience }
    }

    async fn run(&self, arguments: &[&str], input: Option<&Secret>) -> Result<Ran, Failure> {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        // Twice as large as the text when it is printed in hexadecimal digits.
        let bounds = Bounds { time: self.patience, output: 2 * MAX_BYTES };
        process::run(command, input, bounds).await.map_err(|cause| match cause {
            RunError::NotStarted(cause) => Failure::Absent(format!("{} does not run: {cause}", self.program.display())),
            RunError::TookTooLong => Failure::Locked,
            RunError::SaidTooMuch => Failure::Unreadable("the Keychain's item is too large".to_owned()),
        })
    }

    fn check(name: &str, account: &str) -> Result<(), Failure> {
        let is_plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte))
        };
        if is_plain(name) && is_plain(account) && !account.starts_with('-') && !name.starts_with('-') {
            Ok(())
        } else {
            Err(Failure::Unreadable("the name of a Keychain item has characters that cannot be passed on".to_owned()))
        }
    }
}

fn ended(ran: &Ran) -> Result<bool, Failure> {
    match ran.status {
        Some(0) => Ok(true),
        Some(NOT_FOUND) => Ok(false),
        Some(status) if LOCKED.contains(&status) => Err(Failure::Locked),
        Some(status) => {
            Err(Failure::Unreadable(format!("the Keychain cannot be read: 'security' ended with {status}")))
        }
        None => Err(Failure::Unreadable("the Keychain cannot be read: 'security' was killed".to_owned())),
    }
}

#[async_trait]
impl Store for Security {
    async fn get(&self, name: &str) -> Result<Option<Secret>, Failure> {
        Self::check(name, &self.account)?;
        let ran = self.run(&["find-generic-password", "-a", &self.account, "-w", "-s", name], None).await?;
        if !ended(&ran)? {
            return Ok(None);
        }
        let printed = ran.output.strip_suffix(b"\n").unwrap_or(&ran.output);
        // What has other than plain characters is printed in hexadecimal digits. A value that consists of such digits itself
        // cannot be told from that, but Claude Code's is JSON and begins with a brace.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let bytes = unhex(printed).filter(|bytes| std::str::from_utf8(bytes).is_ok_and(|text| !is_plain(text)));
        match std::str::from_utf8(bytes.as_ref().map_or(printed, |bytes| bytes)) {
            Ok(text) => Ok(Some(Secret::new(text.to_owned()))),
            Err(_) => Err(Failure::Unreadable("the Keychain's item is not text".to_owned())),
        }
    }

    async fn set(&self, name: &str, value: &Secret) -> Result<(), Failure> {
        Self::check(name, &self.account)?;
        let mut line = Zeroizing::new(String::with_capacity(MAX_LINE + 2 * value.reveal().len()));
        let _ = write!(line, "add-generic-password -U -a \"{}\" -s \"{name}\" -X \"", self.account);
        for byte in value.reveal().bytes() {
            let _ = write!(line, "{byte:02x}");
        }
        line.push_str("\"\n");
        if line.len() > MAX_LINE {
            // An argument would take more, and be seen by every program of this machine.
            return Err(Failure::Unreadable("this is longer than the 'security' program takes unseen".to_owned()));
        }
        let line = Secret::new(std::mem::take(&mut *line));
        ended(&self.run(&["-i"], Some(&line)).await?)?;
        // The program's own word about commands that it read is not one to rely on.
        match self.get(name).await? {
            Some(found) if found == *value => Ok(()),
            _ => Err(Failure::Unreadable("the Keychain did not take the item".to_owned())),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        Self::check(name, &self.account)?;
        ended(&self.run(&["delete-generic-password", "-a", &self.account, "-s", name], None).await?).map(|_| ())
    }
}

/// The bytes of an even number of lower-case hexadecimal digits.
fn unhex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.chunks_exact(2) {
        bytes.push(digit(pair[0])? * 16 + digit(pair[1])?);
    }
    Some(bytes)
}
