//! This process's terminal: keys passed on as they are, and everything put back whichever way the process ends.

use std::io::{self, Write as _};

/// Leaves the alternate screen, shows the cursor, and switches off mouse reports, pasting marks and colours.
const RESET: &[u8] = b"\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[0m\r\n";

/// Puts the screen back when the program that owned it could not.
pub(super) fn reset_screen() {
    let mut stdout = io::stdout().lock();
    // A terminal that cannot be written to needs no resetting.
    let _ = stdout.write_all(RESET).and_then(|()| stdout.flush());
}

#[cfg(unix)]
pub(super) use unix::{RawMode, size};
#[cfg(windows)]
pub(super) use windows::{RawMode, size};

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::{Mutex, Once, PoisonError};

    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

    /// The terminal's settings from before, while they are changed.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// While it lives, keys pass through unread by the terminal itself.
    pub(crate) struct RawMode;

    impl RawMode {
        pub(crate) fn enter() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
            restore_on_panic();
            tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
            Ok(Self)
        }
    }

    impl Drop for RawMode {
        fn drop(&mut self) {
            restore();
        }
    }

    fn restore() {
        let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(before) = before {
            // The terminal may be gone; then there is nothing to put back.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        }
    }

    /// The panic's message should be readable, so the terminal is put back before it is printed.
    fn restore_on_panic() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                print(panic);
            }));
        });
    }

    /// Columns and rows of the terminal.
    pub(crate) fn size() -> Option<(u16, u16)> {
        let size = tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
    }
}

#[cfg(windows)]
mod windows {
    use std::io;

    /// While it lives, keys pass through unread by the terminal itself.
    pub(crate) struct RawMode;

    impl RawMode {
        pub(crate) fn enter() -> io::Result<Self> {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "run this in a Linux shell of the Windows Subsystem for Linux",
            ))
        }
    }

    impl Drop for RawMode {
        // There is none to leave.
        fn drop(&mut self) {}
    }

    /// Columns and rows of the terminal.
    pub(crate) fn size() -> Option<(u16, u16)> {
        None
    }
}
