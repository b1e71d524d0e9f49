//! What is inside an image: its C library and its users. Looked up once per image, without running it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use boxwood_engine::{ContainerSpec, Engine, EngineError};
use serde::{Deserialize, Serialize};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::spec::HOME;
use crate::materials::image::Image;
use crate::materials::runtime::{Libc, bare};
use crate::operations::Handle;
use crate::sys::User;
use crate::{creation, files, sys};

/// Largest list of users that is taken, bytes.
const LARGEST: usize = 1 << 20;

/// What was found in an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Interior {
    is_musl: bool,
    /// Contents of `/etc/passwd`; empty when there is none.
    passwd: String,
}

impl Interior {
    pub(crate) const fn libc(&self) -> Libc {
        if self.is_musl { Libc::Musl } else { Libc::Glibc }
    }

    /// The list of users with one for `user`, whom `ssh` and others want to know by name; `None` when the image
    /// knows that number already.
    pub(crate) fn passwd_with(&self, user: User) -> Option<String> {
        let is_known = |line: &str| line.split(':').nth(2).is_some_and(|uid| uid == user.uid.to_string());
        if user.uid == 0 || self.passwd.lines().any(is_known) {
            return None;
        }
        let is_taken = self.passwd.lines().any(|line| line.starts_with("boxwood:"));
        let name = if is_taken { "person" } else { "boxwood" };
        let mut passwd = self.passwd.clone();
        if !passwd.is_empty() && !passwd.ends_with('\n') {
            passwd.push('\n');
        }
        passwd.push_str(&format!("{name}:x:{}:{}::{HOME}:/bin/sh\n", user.uid, user.gid));
        Some(passwd)
    }
}

/// Looks into an image.
pub(crate) async fn of(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    image: &Image,
) -> Result<Interior> {
    let path = daemon.paths.cache.join("images.json");
    let turn = daemon.turn("interiors");
    let _turn = turn.lock().await;
    let mut known: BTreeMap<String, Interior> = files::read_json(&path).unwrap_or_default();
    if let Some(interior) = known.get(&image.id) {
        return Ok(interior.clone());
    }
    let name = format!("boxwood-probe-{}", &sys::trace_id()[..12]);
    let spec = ContainerSpec { image: image.id.clone(), ..bare(daemon, "probe", &name) };
    let id = creation::create(daemon, engine, spec, &handle.id)
        .await
        .map_err(|cause| error::engine("look into the image", &cause))?;
    let found = look(engine, &id).await;
    engine.remove_container(&id).await.map_err(|cause| error::engine("remove the probe", &cause))?;
    let interior = found.map_err(|cause| error::engine("look into the image", &cause))?;
    known.insert(image.id.clone(), interior.clone());
    files::write_json(&path, &known)?;
    Ok(interior)
}

async fn look(engine: &Arc<dyn Engine>, id: &str) -> std::result::Result<Interior, EngineError> {
    let mut is_musl = false;
    for loader in ["/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"] {
        is_musl |= engine.path_exists(id, loader).await?;
    }
    let passwd = match engine.download(id, "/etc/passwd", LARGEST).await {
        Ok(tar) => first_file(&tar).unwrap_or_default(),
        Err(cause) if cause.is_not_found() => String::new(),
        Err(cause) => return Err(cause),
    };
    Ok(Interior { is_musl, passwd })
}

fn first_file(tar: &[u8]) -> Option<String> {
    let mut archive = tar::Archive::new(tar);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let mut text = String::new();
    entry.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Writes the list of users of a sandbox; `None` when it needs none of its own.
pub(crate) fn write_passwd(directory: &Path, interior: &Interior, user: User) -> Result<Option<String>> {
    let Some(passwd) = interior.passwd_with(user) else { return Ok(None) };
    let path = directory.join("passwd");
    files::write_if_different(&path, passwd.as_bytes())?;
    Ok(Some(path.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_added_only_where_it_is_missing() {
        let interior = |passwd: &str| Interior { is_musl: false, passwd: passwd.to_owned() };
        let user = User { uid: 1234, gid: 5 };
        assert_eq!(interior("a:x:1234:5::/:/bin/sh\n").passwd_with(user), None);
        assert_eq!(interior("").passwd_with(User { uid: 0, gid: 0 }), None);
        let added = interior("boxwood:x:1000:1000::/home/boxwood:/bin/bash").passwd_with(user).expect("added");
        assert_eq!(added.lines().last(), Some("person:x:1234:5::/home/boxwood:/bin/sh"));
        assert_eq!(added.lines().count(), 2);
    }
}
