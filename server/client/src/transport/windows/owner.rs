//! What the system says of users and pipes: who this process runs as, whose a pipe is, and a pipe with an access list.
#![expect(unsafe_code, reason = "the system's own calls are the only way to a pipe's access list and owner")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr;

use tokio::net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, OWNER_SECURITY_INFORMATION, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Pipes::WaitNamedPipeW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Memory that the system handed out, given back when dropped.
struct Lent(*mut c_void);

// SAFETY: The memory is ours alone and has nothing to do with a thread; it is only read.
unsafe impl Send for Lent {}
// SAFETY: As above.
unsafe impl Sync for Lent {}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: It came from a call whose memory is given back this way, and nothing points to it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// A text as the system takes it.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A user's identifier in its written form, for example `S-1-5-21-…-1001`.
///
/// # Safety
///
/// `sid` points to a valid identifier.
unsafe fn written(sid: PSID) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: The caller's word for the first, and the second is ours to be written to.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let _lent = Lent(text.cast());
    // SAFETY: The system ends the text with a zero.
    let length = (0..).take_while(|&at| unsafe { *text.add(at) } != 0).count();
    // SAFETY: So many characters were just looked at.
    Ok(String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(text, length) }))
}

/// The user this process runs as.
fn this_user() -> io::Result<String> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: The first needs no closing, and the last is ours to be written to.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: It was just opened, and nobody else closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A pointer and the longest identifier there is (68 bytes) with room to spare, aligned as the pointer needs it.
    let mut buffer = [0_u64; 32];
    let mut length = 0;
    // SAFETY: The buffer is as long as is said, and ours.
    let told = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&buffer)).unwrap_or_default(),
            &raw mut length,
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The system filled it with this structure, whose pointer leads into the buffer, which is still there.
    unsafe { written((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
}

/// Whether the other end of a pipe was made by this user. Nobody can make a pipe in another user's name.
///
/// # Errors
///
/// When the system does not say whose it is.
pub(super) fn is_this_users(pipe: &NamedPipeClient) -> io::Result<bool> {
    let mut owner: PSID = ptr::null_mut();
    let mut descriptor = ptr::null_mut();
    // SAFETY: The handle is open as long as the pipe lives; the places written to are ours, the others are not wanted.
    let failed = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut descriptor,
        )
    };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed.cast_signed()));
    }
    let _lent = Lent(descriptor);
    // SAFETY: It leads into the descriptor, which is still there.
    Ok(unsafe { written(owner) }? == this_user()?)
}

/// Who may do what with a pipe, and whose it is.
pub(super) struct AccessList(Lent);

impl AccessList {
    /// This user's own, and open to nobody else.
    pub(super) fn of_this_user() -> io::Result<Self> {
        let user = this_user()?;
        Self::parse(&format!("O:{user}D:P(A;;GA;;;{user})"))
    }

    /// From the system's written form, its "security descriptor definition language".
    pub(super) fn parse(text: &str) -> io::Result<Self> {
        let mut descriptor = ptr::null_mut();
        // SAFETY: The text ends with a zero; the place written to is ours, and the length is not wanted.
        let parsed = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wide(text).as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        };
        if parsed == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(Lent(descriptor))) }
    }

    /// A pipe's end with this list.
    pub(super) fn create(&self, options: &ServerOptions, name: &str) -> io::Result<NamedPipeServer> {
        let mut attributes = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or_default(),
            lpSecurityDescriptor: self.0.0,
            bInheritHandle: 0,
        };
        // SAFETY: The attributes are complete, and they and what they lead to outlive the call.
        unsafe { options.create_with_security_attributes_raw(name, (&raw mut attributes).cast()) }
    }
}

/// Blocks until an end of the pipe is free for a client.
///
/// # Errors
///
/// When that takes longer than `patience_ms` milliseconds, or there is no such pipe.
pub(super) fn wait_for(name: &str, patience_ms: u32) -> io::Result<()> {
    // SAFETY: The name ends with a zero and outlives the call.
    let is_free = unsafe { WaitNamedPipeW(wide(name).as_ptr(), patience_ms) } != 0;
    if is_free { Ok(()) } else { Err(io::Error::last_os_error()) }
}
