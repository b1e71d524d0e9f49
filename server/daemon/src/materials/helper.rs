//! Programs that run inside containers, for each kind of engine: the helper and the gateway. They are opened when the
//! daemon starts: an editor may replace or remove its own installation, and the daemon with it, while sandboxes are
//! still to be made.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use boxwood_protocol::{ErrorCode, RpcError};
use sha2::{Digest as _, Sha256};

use crate::error::Result;

/// The program for one kind of machine.
#[derive(Debug)]
struct One {
    path: PathBuf,
    file: Option<Mutex<File>>,
    hash: OnceLock<String>,
}

/// A program for `x64` and for `arm64`.
#[derive(Debug)]
pub(crate) struct Programs {
    x64: One,
    arm64: One,
}

impl Programs {
    /// The helper, beside this program or where `BOXWOOD_HELPER` says.
    pub(crate) fn helper() -> Self {
        Self::open("boxwood-helper", "BOXWOOD_HELPER")
    }

    /// The gateway, beside this program or where `BOXWOOD_GATEWAY` says.
    pub(crate) fn gateway() -> Self {
        Self::open("boxwood-gateway", "BOXWOOD_GATEWAY")
    }

    fn open(name: &str, variable: &str) -> Self {
        let one = |arch: &str| {
            let name = format!("{name}-linux-{arch}");
            let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(&name)));
            let told = std::env::var_os(variable).map(PathBuf::from);
            let path = told.or(beside).unwrap_or_else(|| PathBuf::from(&name));
            One { file: File::open(&path).ok().map(Mutex::new), path, hash: OnceLock::new() }
        };
        Self { x64: one("x64"), arm64: one("arm64") }
    }

    /// The same file for both.
    #[cfg(test)]
    pub(crate) fn of(path: &std::path::Path) -> Self {
        let one = || One { path: path.to_owned(), file: File::open(path).ok().map(Mutex::new), hash: OnceLock::new() };
        Self { x64: one(), arm64: one() }
    }

    fn one(&self, arch: &str) -> &One {
        if arch == "arm64" { &self.arm64 } else { &self.x64 }
    }

    /// The program for `x64` or `arm64`.
    pub(crate) fn program(&self, arch: &str) -> Result<Arc<[u8]>> {
        let mut program = Vec::new();
        self.read(arch, |file| file.read_to_end(&mut program).map(drop))?;
        Ok(program.into())
    }

    /// Hash of the program, which is not held as a whole for it.
    pub(crate) fn hash(&self, arch: &str) -> Result<String> {
        let one = self.one(arch);
        if let Some(hash) = one.hash.get() {
            return Ok(hash.clone());
        }
        let mut hasher = Sha256::new();
        self.read(arch, |file| io::copy(file, &mut hasher).map(drop))?;
        let hash = format!("{:x}", hasher.finalize());
        Ok(one.hash.get_or_init(|| hash).clone())
    }

    fn read(&self, arch: &str, how: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
        let one = self.one(arch);
        let missing = |cause: &dyn std::fmt::Display| {
            RpcError::new(ErrorCode::RuntimeFailed, format!("the program {} cannot be read", one.path.display()))
                .caused_by(cause)
                .hint("install Boxwood again; when building it yourself, run 'make build'")
        };
        let file = one.file.as_ref().ok_or_else(|| missing(&"it was not there when the daemon started"))?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.rewind().and_then(|()| how(&mut file)).map_err(|cause| missing(&cause))
    }
}
