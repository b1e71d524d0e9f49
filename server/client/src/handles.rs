//! What a child process gets of this one's handles on Windows: every one that is marked, whatever it is given as its own streams.
#![expect(unsafe_code, reason = "the system's own call is the only way to a handle's mark")]

use std::io;
use std::os::windows::io::AsRawHandle as _;

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};

/// Keeps this process's streams from children that have others: whoever reads what this process says would wait for
/// the end of a daemon that holds the same pipe. A child that is to share a stream is given a copy.
pub(crate) fn keep_streams() {
    for stream in [io::stdin().as_raw_handle(), io::stdout().as_raw_handle(), io::stderr().as_raw_handle()] {
        // A stream that is not there has no mark, and that is as well.
        // SAFETY: Changes a mark of a handle, or fails.
        unsafe { SetHandleInformation(stream, HANDLE_FLAG_INHERIT, 0) };
    }
}
