//! Images that sandboxes run: the product's agent images, and a project's own.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use boxwood_core::config::ImageSource;
use boxwood_core::{content_hash, labels};
use boxwood_engine::{BuildSpec, Engine, ImageDetail};
use boxwood_protocol::config::ImageVariant;
use boxwood_protocol::params::ImageInfo;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::files;
use crate::lifecycle::overlay;
use crate::materials::{base, build, package};
use crate::operations::Handle;
use crate::settings::{LARGEST_DOCKERFILE, Settings};

const DOCKERFILE: &str = include_str!("../../../../images/Dockerfile");
const HEALTHCHECK: &str = include_str!("../../../../images/healthcheck");

/// Largest build context of a project, bytes.
const LARGEST_CONTEXT: u64 = 256 << 20;

/// An image that is there.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// `sha256:…`.
    pub(crate) id: String,
    /// Name for a person.
    pub(crate) reference: String,
    pub(crate) env: Vec<String>,
}

/// Hash of what agent images are built from.
pub(crate) fn agent_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| content_hash([DOCKERFILE, HEALTHCHECK].map(str::as_bytes))).clone()
}

/// Whether a reference is one that only the product gives.
pub(crate) fn is_own(reference: &str) -> bool {
    ["boxwood-agent:", "boxwood-project:", "boxwood-tools:", "boxwood-gateway:"]
        .iter()
        .any(|start| reference.starts_with(start))
}

fn agent_reference(variant: ImageVariant, hash: &str) -> String {
    format!("boxwood-agent:{}-{}", variant.as_str(), &hash[..12])
}

/// An agent image, built unless one of the same content is there.
pub(crate) async fn agent(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    variant: ImageVariant,
    no_cache: bool,
) -> Result<Image> {
    let certificates = daemon.certificates.added();
    let recipe = agent_hash();
    let parts = certificates.iter().flat_map(|(name, contents)| [name.as_bytes(), contents.as_slice()]);
    let hash = content_hash([recipe.as_bytes(), variant.as_str().as_bytes()].into_iter().chain(parts));
    let tag = agent_reference(variant, &hash);
    let turn = daemon.turn(&tag);
    let _turn = turn.lock().await;
    if !no_cache && let Some(image) = find(engine, &tag).await? {
        return Ok(Image { id: image.id, reference: tag, env: image.env });
    }
    base::ensure(daemon, engine, handle).await?;
    let mut context = build::Context::new();
    context.file("Dockerfile", build::prepared(DOCKERFILE, daemon.user, None).as_bytes(), 0o644)?;
    context.file("healthcheck", HEALTHCHECK.as_bytes(), 0o755)?;
    context.file("claude.json", package::CLAUDE.as_bytes(), 0o644)?;
    context.directory("ca")?;
    for (name, contents) in certificates {
        context.file(&format!("ca/{name}"), contents, 0o644)?;
    }
    let mut args = BTreeMap::from([("BASE".to_owned(), base::BASE.to_owned())]);
    if matches!(variant, ImageVariant::Rust) {
        args.insert("STAGES".to_owned(), "rust".to_owned());
    }
    let spec = BuildSpec {
        dockerfile: "Dockerfile".to_owned(),
        target: variant.as_str().to_owned(),
        args,
        labels: image_labels(daemon, "image", &handle.id, &hash, Some(variant)),
        context: context.finish()?,
        no_cache,
        tag,
    };
    build::run(engine, handle, &spec).await?;
    built(engine, &spec.tag).await
}

/// The image that a project's settings name or build.
pub(crate) async fn of_project(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    settings: &Settings,
) -> Result<Image> {
    match &settings.resolved.image {
        ImageSource::Variant(variant) => agent(daemon, engine, handle, *variant, false).await,
        ImageSource::Reference(reference) => {
            if !base::is_there(engine, reference).await? {
                base::pull(engine, handle, reference).await?;
            }
            built(engine, reference).await
        }
        ImageSource::Dockerfile(path) => own(daemon, engine, handle, &settings.report.project, path).await,
    }
}

/// The text of a project's Dockerfile.
pub(crate) fn dockerfile(project: &str, path: &str) -> Result<String> {
    let path = Path::new(project).join(path);
    let text = files::read_project_file(&path, LARGEST_DOCKERFILE).map_err(|cause| {
        RpcError::new(ErrorCode::ConfigInvalid, format!("the Dockerfile {} cannot be read", path.display()))
            .caused_by(cause)
    })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A project's Dockerfile, built with its own directory as the context.
async fn own(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    project: &str,
    path: &str,
) -> Result<Image> {
    let text = dockerfile(project, path)?;
    let dockerfile = Path::new(project).join(path);
    let directory = dockerfile.parent().unwrap_or_else(|| Path::new(project)).to_path_buf();
    let bundle = daemon.certificates.bundle_contents();
    let text = build::prepared(&text, daemon.user, bundle.as_ref().map(|_| build::CERTIFICATES));
    let left_out = placeholders(daemon, project);
    let root = PathBuf::from(project);
    let context = tokio::task::spawn_blocking(move || pack(&root, &directory, &text, bundle.as_deref(), &left_out))
        .await
        .map_err(|cause| error::internal(cause.to_string()))??;
    let hash = content_hash([context.as_ref()]);
    let tag = format!("boxwood-project:{}", &hash[..16]);
    let turn = daemon.turn(&tag);
    let _turn = turn.lock().await;
    if let Some(image) = find(engine, &tag).await? {
        return Ok(Image { id: image.id, reference: tag, env: image.env });
    }
    let spec = BuildSpec {
        dockerfile: ".boxwood-Dockerfile".to_owned(),
        labels: image_labels(daemon, "project-image", &handle.id, &hash, None),
        context,
        tag,
        ..BuildSpec::default()
    };
    build::run(engine, handle, &spec).await?;
    built(engine, &spec.tag).await
}

/// Mount points that sandboxes have in a project, as they were made: no part of it, and there only while one runs.
fn placeholders(daemon: &Daemon, project: &str) -> HashSet<PathBuf> {
    let sandboxes = daemon.registry.list().into_iter().filter(|info| info.project == project);
    let made = sandboxes.filter_map(|info| daemon.records.get(&info.id)).flat_map(|record| record.placeholders);
    made.filter(|path| overlay::is_as_made(project, path)).map(|path| Path::new(project).join(path)).collect()
}

fn pack(
    project: &Path,
    directory: &Path,
    dockerfile: &str,
    bundle: Option<&[u8]>,
    left_out: &HashSet<PathBuf>,
) -> Result<bytes::Bytes> {
    let mut context = build::Context::new();
    context.file(".boxwood-Dockerfile", dockerfile.as_bytes(), 0o644)?;
    if let Some(bundle) = bundle {
        context.file(build::CERTIFICATES, bundle, 0o644)?;
    }
    let ignored = directory.join(".dockerignore");
    if ignored.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        let message = format!("{} is not a file", ignored.display());
        return Err(RpcError::new(ErrorCode::ConfigInvalid, message).hint("remove it, or put a file in its place"));
    }
    let mut walker = ignore::WalkBuilder::new(directory);
    walker.standard_filters(false).follow_links(false).sort_by_file_name(std::ffi::OsStr::cmp);
    walker.add_custom_ignore_filename(".dockerignore").filter_entry(|entry| entry.file_name() != ".git");
    let mut total = 0;
    for entry in walker.build() {
        let entry = entry.map_err(|cause| error::internal("failed to read the build context").caused_by(cause))?;
        let Ok(relative) = entry.path().strip_prefix(directory) else { continue };
        let is_packed = entry.file_type().is_some_and(|kind| kind.is_file() || kind.is_symlink());
        if relative.as_os_str().is_empty() || !is_packed || left_out.contains(entry.path()) {
            continue;
        }
        total += entry.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        if total > LARGEST_CONTEXT {
            return Err(RpcError::new(
                ErrorCode::ImageFailed,
                format!("the build context {} is larger than {} MiB", directory.display(), LARGEST_CONTEXT >> 20),
            )
            .hint("list what the build does not need in a .dockerignore file, or move the Dockerfile into .boxwood/"));
        }
        let Ok(source) = entry.path().strip_prefix(project) else { continue };
        context.host_file(relative, project, source)?;
    }
    context.finish()
}

fn image_labels(
    daemon: &Daemon,
    role: &str,
    trace: &str,
    hash: &str,
    variant: Option<ImageVariant>,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from(
        [
            (labels::OWNER, daemon.user.uid.to_string().as_str()),
            (labels::ROLE, role),
            (labels::CONTENT, hash),
            (labels::TRACE, trace),
            (labels::VERSION, env!("CARGO_PKG_VERSION")),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    if let Some(variant) = variant {
        all.insert(labels::VARIANT.to_owned(), variant.as_str().to_owned());
    }
    all
}

async fn find(engine: &Arc<dyn Engine>, reference: &str) -> Result<Option<ImageDetail>> {
    engine.inspect_image(reference).await.map_err(|cause| error::engine("look for an image", &cause))
}

async fn built(engine: &Arc<dyn Engine>, reference: &str) -> Result<Image> {
    let image = find(engine, reference).await?.ok_or_else(|| {
        RpcError::new(ErrorCode::ImageFailed, format!("the image {reference} is not there after it was made"))
    })?;
    Ok(Image { id: image.id, reference: reference.to_owned(), env: image.env })
}

/// The agent images that are there.
pub(crate) async fn list(daemon: &Arc<Daemon>) -> Result<Vec<ImageInfo>> {
    let (engine, _) = daemon.link.engine().await?;
    let mut images = Vec::new();
    for role in ["image", "project-image", "tools"] {
        let found = engine
            .list_images(&[labels::equals(labels::ROLE, role)])
            .await
            .map_err(|cause| error::engine("list images", &cause))?;
        images.extend(found);
    }
    let used = daemon.registry.list();
    let mut list: Vec<ImageInfo> = images.iter().map(|image| describe(image, &used)).collect();
    list.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(list)
}

/// An image in the contract's terms.
pub(crate) fn describe(image: &ImageDetail, used: &[boxwood_protocol::sandbox::SandboxInfo]) -> ImageInfo {
    let reference = image.tags.first().cloned().unwrap_or_else(|| image.id.clone());
    let variant = image.labels.get(labels::VARIANT);
    ImageInfo {
        is_current: used.iter().any(|info| info.image == reference),
        variant: ImageVariant::ALL.into_iter().find(|known| variant.is_some_and(|name| name == known.as_str())),
        id: image.id.clone(),
        size_bytes: image.size_bytes,
        reference,
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
