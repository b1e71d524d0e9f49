//! The runtime volume: Claude Code, a multiplexer and the helper, for any image, filled once per version.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use boxwood_core::{content_hash, labels};
use boxwood_engine::{BuildSpec, ContainerSpec, Engine, EngineError, EngineInfo, Mount, NetworkMode};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::spec::{HELPER, RUNTIME};
use crate::lifecycle::verify;
use crate::materials::{base, build, others, package, upload};
use crate::operations::Handle;
use crate::{creation, files, sys};

const TOOLS: &str = include_str!("../../../../images/runtime.Dockerfile");

/// How often it is tried while others on the engine are at the same volume.
const ATTEMPTS: usize = 5;

/// The C library of an image; Claude Code has a binary for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Libc {
    Glibc,
    Musl,
}

impl Libc {
    const fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
        }
    }
}

/// A filled volume.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    pub(crate) volume: String,
    pub(crate) claude_version: String,
}

/// Everything a volume is filled with.
struct Recipe {
    volume: String,
    platform: String,
    libc: Libc,
    hash: String,
    arch: &'static str,
    tools: String,
}

/// The volume for a C library, filled unless it is.
pub(crate) async fn get(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    info: &EngineInfo,
    handle: &Handle,
    libc: Libc,
) -> Result<Runtime> {
    let recipe = recipe(daemon, info, libc)?;
    let runtime = Runtime { volume: recipe.volume.clone(), claude_version: package::pinned().version.clone() };
    let turn = daemon.turn(&recipe.volume);
    let _turn = turn.lock().await;
    let marker = marker(daemon, &info.id, &recipe.volume);
    let mut problem = None;
    for _ in 0..ATTEMPTS {
        let is_there = is_there(engine, &recipe).await?;
        if is_there && marker.exists() {
            return Ok(runtime);
        }
        tools(daemon, engine, handle, &recipe).await?;
        if is_there && is_whole(daemon, engine, handle, &recipe).await? {
            return seal(&marker, runtime);
        }
        let tell = || handle.progress("image", "another Boxwood fills the runtime volume just now", 0, 0, None);
        let others = others::wait(engine.as_ref(), &daemon.installation, &recipe.hash[..12], tell);
        let others = async { others.await.map_err(|cause| error::engine("wait for the runtime volume", &cause)) };
        if handle.or_cancelled(others).await? {
            continue;
        }
        handle.progress("image", "filling the runtime volume with Claude Code", 0, 0, None);
        match fill(daemon, engine, handle, &recipe).await {
            Ok(()) => return seal(&marker, runtime),
            // Somebody else has just begun with it.
            Err(cause) if cause.code == ErrorCode::NameConflict => problem = Some(cause),
            Err(cause) => return Err(cause),
        }
    }
    Err(problem.unwrap_or_else(|| {
        RpcError::new(ErrorCode::SandboxBusy, "others on this engine fill the runtime volume again and again")
    }))
}

/// Whether the volume is there. One of its name that was not made for this recipe is somebody else's: it is neither used
/// nor removed.
async fn is_there(engine: &Arc<dyn Engine>, recipe: &Recipe) -> Result<bool> {
    let all = engine.list_volumes(&[]).await.map_err(|cause| error::engine("look for the runtime", &cause))?;
    let name = &recipe.volume;
    let Some(volume) = all.iter().find(|volume| volume.name == *name) else { return Ok(false) };
    let has = |key: &str, value: &str| volume.labels.get(key).is_some_and(|one| one == value);
    if has(labels::ROLE, "runtime") && has(labels::CONTENT, &recipe.hash) {
        return Ok(true);
    }
    Err(RpcError::new(
        ErrorCode::NameConflict,
        format!("a volume named {name} is there already, and Boxwood did not make it"),
    )
    .hint(format!("look what is in it, remove it ('docker volume rm {name}'), then try again")))
}

fn seal(marker: &std::path::Path, runtime: Runtime) -> Result<Runtime> {
    if let Some(parent) = marker.parent() {
        files::private_directory(parent)?;
    }
    files::write(marker, sys::now().as_bytes())?;
    Ok(runtime)
}

/// The file that says that a volume of an engine was verified by this installation.
fn marker(daemon: &Daemon, engine_id: &str, volume: &str) -> PathBuf {
    let engine: String = engine_id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    daemon.paths.state.join("runtime").join(engine).join(volume)
}

fn recipe(daemon: &Daemon, info: &EngineInfo, libc: Libc) -> Result<Recipe> {
    let arch = sys::node_arch(&info.arch);
    let platform = match libc {
        Libc::Glibc => format!("linux-{arch}"),
        Libc::Musl => format!("linux-{arch}-musl"),
    };
    let pinned = package::pinned();
    let package = pinned.package(&platform)?;
    let helper = daemon.helpers.hash(arch)?;
    let certificates = daemon.certificates.added().iter().map(|(_, contents)| contents.as_slice());
    let tools = content_hash([TOOLS.as_bytes()].into_iter().chain(certificates));
    let hash = content_hash([TOOLS.as_bytes(), helper.as_bytes(), package.sha256.as_bytes(), libc.name().as_bytes()]);
    let volume = format!("boxwood-runtime-{}-{}-{}", pinned.version, libc.name(), &hash[..12]);
    Ok(Recipe { volume, platform, libc, hash, arch, tools: format!("boxwood-tools:{}", &tools[..12]) })
}

/// Names of the volumes that a start on this engine would want now.
pub(crate) fn current_volumes(daemon: &Daemon, info: &EngineInfo) -> Result<Vec<String>> {
    [Libc::Glibc, Libc::Musl].into_iter().map(|libc| Ok(recipe(daemon, info, libc)?.volume)).collect()
}

/// A container that only holds something, for the engine to look at or to run once.
pub(crate) fn bare(daemon: &Daemon, role: &str, name: &str) -> ContainerSpec {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    ContainerSpec {
        name: name.to_owned(),
        image: String::new(),
        command: vec![HELPER.to_owned()],
        env: BTreeMap::new(),
        labels: BTreeMap::from([
            label(labels::OWNER, &daemon.user.uid.to_string()),
            label(labels::INSTALLATION, &daemon.installation),
            label(labels::ROLE, role),
        ]),
        user: "0:0".to_owned(),
        workdir: "/".to_owned(),
        hostname: String::new(),
        mounts: Vec::new(),
        memory_bytes: 1 << 30,
        nano_cpus: 0,
        pids: 64,
        nofile: 0,
        network: NetworkMode::None,
        ..ContainerSpec::default()
    }
}

/// Has the image with the multiplexer and the other tools at hand.
async fn tools(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, handle: &Handle, recipe: &Recipe) -> Result<()> {
    let turn = daemon.turn(&recipe.tools);
    let _turn = turn.lock().await;
    if base::is_there(engine, &recipe.tools).await? {
        return Ok(());
    }
    base::ensure(daemon, engine, handle).await?;
    let mut context = build::Context::new();
    context.file("Dockerfile", build::prepared(TOOLS, daemon.user, None).as_bytes(), 0o644)?;
    context.directory("ca")?;
    for (name, contents) in daemon.certificates.added() {
        context.file(&format!("ca/{name}"), contents, 0o644)?;
    }
    let spec = BuildSpec {
        tag: recipe.tools.clone(),
        dockerfile: "Dockerfile".to_owned(),
        args: BTreeMap::from([("BASE".to_owned(), base::BASE.to_owned())]),
        labels: BTreeMap::from([
            (labels::OWNER.to_owned(), daemon.user.uid.to_string()),
            (labels::ROLE.to_owned(), "tools".to_owned()),
            (labels::TRACE.to_owned(), handle.id.clone()),
        ]),
        context: context.finish()?,
        ..BuildSpec::default()
    };
    build::run(engine, handle, &spec).await
}

fn on_volume(daemon: &Daemon, recipe: &Recipe, role: &str, verb: &str, read_only: bool) -> ContainerSpec {
    let name = format!("boxwood-{role}-{}", &recipe.hash[..12]);
    ContainerSpec {
        image: recipe.tools.clone(),
        command: [HELPER, verb, "--root", RUNTIME].map(str::to_owned).to_vec(),
        mounts: vec![Mount::Volume {
            name: recipe.volume.clone(),
            target: RUNTIME.to_owned(),
            read_only,
            no_copy: read_only,
        }],
        ..bare(daemon, role, &name)
    }
}

/// Runs the helper on a volume and gives its exit status and what it said.
async fn run(engine: &Arc<dyn Engine>, id: &str) -> std::result::Result<(i64, Vec<String>), EngineError> {
    engine.start_container(id).await?;
    let status = engine.wait_container(id).await?;
    Ok((status, verify::tail(engine.as_ref(), id).await))
}

/// Whether a volume that somebody else filled, or that was being filled when the daemon was killed, is what it should be.
async fn is_whole(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, handle: &Handle, recipe: &Recipe) -> Result<bool> {
    let mut spec = on_volume(daemon, recipe, "verify", "verify", true);
    spec.name = format!("{}-{}", spec.name, &sys::trace_id()[..8]);
    let what = "verify the runtime volume";
    let id = creation::create(daemon, engine, spec, &handle.id).await.map_err(|cause| error::engine(what, &cause))?;
    let result = run(engine, &id).await;
    engine.remove_container(&id).await.map_err(|cause| error::engine(what, &cause))?;
    Ok(matches!(result, Ok((0, _))))
}

async fn fill(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, handle: &Handle, recipe: &Recipe) -> Result<()> {
    let pinned = package::pinned();
    let package = pinned.package(&recipe.platform)?.clone();
    let archive = package::archive(&daemon.paths, handle, &pinned.version, &package).await?;
    let what = "fill the runtime volume";
    let spec = on_volume(daemon, recipe, "fill", "seal", false);
    let failed = |cause: EngineError| error::engine(what, &cause);
    // A volume that was filled in part is thrown away, not mended.
    engine.remove_volume(&recipe.volume).await.map_err(failed)?;
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let volume_labels = [
        label(labels::OWNER, &daemon.user.uid.to_string()),
        label(labels::ROLE, "runtime"),
        label(labels::CONTENT, &recipe.hash),
        label(labels::CLAUDE, &pinned.version),
        label(labels::TRACE, &handle.id),
    ];
    engine.create_volume(&recipe.volume, &volume_labels).await.map_err(failed)?;
    let id = creation::create(daemon, engine, spec, &handle.id).await.map_err(failed)?;
    let guard = Cleanup { engine: Arc::clone(engine), container: Some(id.clone()) };
    let result = async {
        let helper = daemon.helpers.program(recipe.arch)?;
        upload::upload(engine, &id, recipe.libc, &package, archive, helper).await?;
        match run(engine, &id).await.map_err(failed)? {
            (0, _) => Ok(()),
            (status, said) => {
                Err(RpcError::new(ErrorCode::RuntimeFailed, format!("failed to {what}: status {status}"))
                    .caused_by(said.join("; ")))
            }
        }
    }
    .await;
    guard.now().await;
    if result.is_err() {
        engine.remove_volume(&recipe.volume).await.map_err(failed)?;
    }
    result
}

/// Removes the container also when the operation is cancelled in the middle.
struct Cleanup {
    engine: Arc<dyn Engine>,
    container: Option<String>,
}

impl Cleanup {
    async fn now(mut self) {
        if let Some(id) = self.container.take()
            && let Err(cause) = self.engine.remove_container(&id).await
        {
            tracing::warn!(%cause, "a container of the runtime volume stays behind; prune removes it");
        }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Some(id) = self.container.take() {
            let engine = Arc::clone(&self.engine);
            tokio::spawn(async move { engine.remove_container(&id).await });
        }
    }
}
