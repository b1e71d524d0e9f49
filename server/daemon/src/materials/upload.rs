//! What a runtime volume is filled with, on its way to the engine.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxwood_engine::{ByteStream, Engine};
use boxwood_protocol::{ErrorCode, RpcError};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::error::{self, Result};
use crate::lifecycle::spec::RUNTIME;
use crate::materials::package;
use crate::materials::runtime::Libc;

/// Bytes of the archive that are on their way at a time.
const CHUNK: usize = 1 << 18;

/// Puts Claude Code and the helper into a container's runtime volume; refused when the binary is not the pinned one.
pub(super) async fn upload(
    engine: &Arc<dyn Engine>,
    id: &str,
    libc: Libc,
    package: &package::Package,
    archive: PathBuf,
    helper: Arc<[u8]>,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    let packing =
        tokio::task::spawn_blocking(move || pack(&archive, &helper, libc, Sender { sender, buffer: Vec::new() }));
    let receiver = futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let stream: ByteStream = Box::pin(receiver);
    let sent = engine.upload(id, RUNTIME, stream).await;
    let packed = packing.await.map_err(|cause| error::internal(cause.to_string()))?;
    sent.map_err(|cause| error::engine("upload Claude Code", &cause))?;
    let digest = packed
        .map_err(|cause| RpcError::new(ErrorCode::RuntimeFailed, "failed to unpack Claude Code").caused_by(cause))?;
    if digest != package.sha256 {
        return Err(RpcError::new(
            ErrorCode::RuntimeFailed,
            "Claude Code's binary is not the one that Boxwood was made for",
        ));
    }
    Ok(())
}

/// Packs helper and binary for the volume and gives the binary's digest.
fn pack(archive: &Path, helper: &[u8], libc: Libc, sender: Sender) -> io::Result<String> {
    let mut tar = tar::Builder::new(sender);
    let header = |size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o755);
        header.set_mtime(0);
        header
    };
    tar.append_data(&mut header(helper.len() as u64), "bin/boxwood-helper", helper)?;
    let path = match libc {
        Libc::Glibc => "bin/claude",
        Libc::Musl => "libexec/claude",
    };
    let digest = package::with_binary(archive, |size, contents| {
        let mut hashing = Hashing { inner: contents, hasher: Sha256::new() };
        tar.append_data(&mut header(size), path, &mut hashing)?;
        Ok(hashing.hasher.finalize())
    })?;
    if libc == Libc::Musl {
        let mut link = header(0);
        link.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut link, "bin/claude", "boxwood-helper")?;
    }
    tar.into_inner()?.flush()?;
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Hashing<'a> {
    inner: &'a mut dyn Read,
    hasher: Sha256,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

/// Writes to the engine in pieces.
struct Sender {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK * 2)));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
