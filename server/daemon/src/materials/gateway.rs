//! The image of gateways: one static program and the directories that an engine wants to mount something at.

use std::sync::Arc;

use boxwood_core::labels;
use boxwood_engine::{ByteStream, Engine, EngineInfo};
use bytes::Bytes;

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::sys;

/// The program in the image.
pub(crate) const PROGRAM: &str = "/boxwood-gateway";
/// Role of the image.
pub(crate) const ROLE: &str = "gateway-image";
/// What engines mount over; a root file system that cannot be written must have them.
const DIRECTORIES: [&str; 5] = ["dev/", "etc/", "proc/", "sys/", "tmp/"];
/// Length of a piece that is sent to the engine, bytes.
const PIECE: usize = 256 << 10;

/// Name of the image of the program that this daemon has.
pub(crate) fn reference(daemon: &Daemon, info: &EngineInfo) -> Result<String> {
    Ok(format!("boxwood-gateway:{}", &daemon.gateways.hash(sys::node_arch(&info.arch))?[..12]))
}

/// Has the image at hand and gives its name.
pub(crate) async fn image(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, info: &EngineInfo) -> Result<String> {
    let reference = reference(daemon, info)?;
    let turn = daemon.turn(&reference);
    let _turn = turn.lock().await;
    let found = engine.inspect_image(&reference).await;
    if found.map_err(|cause| error::engine("look for the gateway's image", &cause))?.is_some() {
        return Ok(reference);
    }
    let arch = sys::node_arch(&info.arch);
    let (program, hash) = (daemon.gateways.program(arch)?, daemon.gateways.hash(arch)?);
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let image_labels = [
        label(labels::OWNER, &daemon.user.uid.to_string()),
        label(labels::ROLE, ROLE),
        label(labels::VERSION, env!("CARGO_PKG_VERSION")),
        label(labels::CONTENT, &hash),
    ];
    let tar = pack(&program).map_err(|cause| error::internal("failed to pack the gateway").caused_by(cause))?;
    let pieces: Vec<_> = (0..tar.len()).step_by(PIECE).map(|at| Ok(tar.slice(at..tar.len().min(at + PIECE)))).collect();
    let stream: ByteStream = Box::pin(futures::stream::iter(pieces));
    let imported = engine.import_image(&reference, &image_labels, stream).await;
    imported.map_err(|cause| error::engine("import the gateway's image", &cause))?;
    Ok(reference)
}

fn pack(program: &[u8]) -> std::io::Result<Bytes> {
    let mut tar = tar::Builder::new(Vec::new());
    let header = |kind: tar::EntryType, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(size as u64);
        header.set_mtime(0);
        header
    };
    for directory in DIRECTORIES {
        tar.append_data(&mut header(tar::EntryType::Directory, 0), directory, std::io::empty())?;
    }
    let name = PROGRAM.trim_start_matches('/');
    tar.append_data(&mut header(tar::EntryType::Regular, program.len()), name, program)?;
    tar.into_inner().map(Bytes::from)
}
