//! The container in which the real `claude` signs in: nothing of a project is in it, and it goes with the sign-in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use boxwood_core::labels;
use boxwood_core::login::{COLUMNS, ROWS, arguments};
use boxwood_engine::{
    ContainerSpec, ContainerState, Engine, EngineError, EngineInfo, ExecSpec, Mount, NetworkMode, Running,
};
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::login::LoginKind;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::spec::{CLAUDE_CONFIG, HELPER, HOME, RUNTIME};
use crate::materials::image::Image;
use crate::materials::runtime::{self, bare};
use crate::materials::{base, interior};
use crate::operations::Handle;
use crate::{creation, files, settings};

/// Role of the container in which somebody signs in.
pub(super) const ROLE: &str = "login";
/// Role of the container in which a login is renewed. It is not removed while it runs: whoever ends Claude Code between the
/// answer with a new refresh token and its file loses the login.
const RENEWAL: &str = "renewal";
/// How long a renewal may take. Claude Code gives up after seconds when the network does not answer.
const LONGEST_RENEWAL: Duration = Duration::from_secs(180);
const CERTIFICATES: &str = "/etc/boxwood/ca.pem";
const CLAUDE: &str = "/opt/boxwood/bin/claude";
const MEMORY_BYTES: u64 = 2 << 30;
const PIDS: u32 = 256;
/// What Claude writes outside its configuration, bytes.
const HOME_BYTES: u64 = 256 << 20;
/// By these the person's own settings say how the network is reached.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"];

fn failed(what: &'static str) -> impl Fn(EngineError) -> RpcError {
    move |cause| error::engine(what, &cause)
}

/// A container that runs and does nothing yet.
pub(super) struct Container {
    engine: Arc<dyn Engine>,
    id: String,
}

/// Makes and starts one for the operation, with `claude` on the host as Claude's configuration directory.
pub(super) async fn start(daemon: &Arc<Daemon>, handle: &Handle, directory: &Path, claude: &Path) -> Result<Container> {
    let (engine, info) = daemon.link.engine().await?;
    handle.progress("image", "having Claude Code at hand", 0, 2, None);
    let materials = materials(daemon, &engine, &info, handle).await?;
    handle.progress("container", "starting Claude Code to sign in", 1, 2, None);
    let parts = parts(daemon, &engine, handle, &materials, directory, claude).await?;
    let spec = spec(daemon, &handle.id, &parts);
    let what = "make the container to sign in with";
    let id = creation::create(daemon, &engine, spec, &handle.id).await.map_err(failed(what))?;
    engine.start_container(&id).await.map_err(failed("start the container to sign in with"))?;
    Ok(Container { engine, id })
}

/// Arguments with which Claude Code renews what ends within five minutes, waits for that and does nothing else: it asks nobody
/// but the identity server, and starts no server of the person's. `auth status` often ends before it has begun to renew.
pub(crate) const RENEW: [&str; 2] = ["plugin", "list"];

/// Has the real `claude` look at the login in `claude` on the host, which renews what is nearly over, and waits for its end.
/// Claude Code is the container's main process, so that it comes to its end whatever becomes of this process.
pub(super) async fn renew(daemon: &Arc<Daemon>, handle: &Handle, directory: &Path, claude: &Path) -> Result<()> {
    let (engine, info) = daemon.link.engine().await?;
    let materials = materials(daemon, &engine, &info, handle).await?;
    let parts = parts(daemon, &engine, handle, &materials, directory, claude).await?;
    let mut spec = spec(daemon, &handle.id, &parts);
    spec.name = format!("boxwood-renewal-{}", &handle.id[..12.min(handle.id.len())]);
    spec.labels.insert(labels::ROLE.to_owned(), RENEWAL.to_owned());
    spec.command = std::iter::once(CLAUDE).chain(RENEW).map(str::to_owned).collect();
    let what = "make the container to renew a login with";
    let id = creation::create(daemon, &engine, spec, &handle.id).await.map_err(failed(what))?;
    let ran = match engine.start_container(&id).await {
        Ok(()) => wait(&engine, &id).await,
        Err(cause) => Ok(Err(failed("start the container to renew a login with")(cause))),
    };
    // One that may be running yet is left to itself; whoever renews the next time waits for it.
    let ran = ran?;
    engine.remove_container(&id).await.map_err(failed("remove the container of a renewal"))?;
    ran
}

/// Waits for the end of Claude Code. The outer error is that nobody knows whether it has ended; what came of it is seen in
/// the file.
async fn wait(engine: &Arc<dyn Engine>, id: &str) -> Result<Result<()>> {
    match tokio::time::timeout(LONGEST_RENEWAL, engine.wait_container(id)).await {
        Ok(Ok(_)) => Ok(Ok(())),
        Ok(Err(cause)) => Err(failed("wait for Claude Code to renew a login")(cause)),
        Err(_) => {
            Ok(Err(RpcError::new(ErrorCode::LoginTimedOut, "Claude Code did not come to an end renewing a login")))
        }
    }
}

/// Waits for renewals that an earlier daemon began, and removes their containers.
pub(super) async fn settle_renewals(daemon: &Daemon) -> Result<()> {
    let (engine, _) = daemon.link.engine().await?;
    let filter = [labels::equals(labels::ROLE, RENEWAL), labels::equals(labels::INSTALLATION, &daemon.installation)];
    let found = engine.list_containers(&filter).await.map_err(failed("look for renewals"))?;
    for container in found {
        let detail = match engine.inspect_container(&container.id).await {
            Ok(detail) => detail,
            Err(cause) if cause.is_not_found() => continue,
            Err(cause) => return Err(failed("look at the container of a renewal")(cause)),
        };
        if detail.state == ContainerState::Running
            && let Err(problem) = wait(&engine, &container.id).await?
        {
            tracing::warn!(%problem, "a renewal that an earlier daemon began is ended");
        }
        engine.remove_container(&container.id).await.map_err(failed("remove the container of a renewal"))?;
    }
    Ok(())
}

/// What a container is made of.
async fn parts<'a>(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    (image, volume): &'a (Image, String),
    directory: &Path,
    claude: &Path,
) -> Result<Parts<'a>> {
    let found = interior::of(daemon, engine, handle, image).await?;
    Ok(Parts {
        image: &image.id,
        volume,
        claude: claude.to_string_lossy().into_owned(),
        passwd: interior::write_passwd(directory, &found, daemon.user)?,
        certificates: certificates(daemon, directory)?,
        proxies: proxies(daemon, directory),
    })
}

/// Id of the image, and the runtime volume. The base image has all that Claude Code needs, and everybody has it.
async fn materials(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    info: &EngineInfo,
    handle: &Handle,
) -> Result<(Image, String)> {
    base::ensure(daemon, engine, handle).await?;
    let found = engine.inspect_image(base::BASE).await.map_err(failed("look at the base image"))?;
    let found = found.ok_or_else(|| error::internal("the base image is gone as soon as it was there"))?;
    let image = Image { id: found.id, reference: base::BASE.to_owned(), env: found.env };
    let runtime = runtime::get(daemon, engine, info, handle, runtime::Libc::Glibc).await?;
    Ok((image, runtime.volume))
}

/// The proxies that the person's own settings name. A project has no say in where somebody signs in, so an empty directory
/// stands for one.
fn proxies(daemon: &Daemon, nothing: &Path) -> BTreeMap<String, String> {
    let settings = settings::load(&daemon.paths, &nothing.to_string_lossy(), &SandboxConfig::default());
    let env = settings.map(|settings| settings.resolved.env).unwrap_or_default();
    env.into_iter().filter(|(name, _)| PROXIES.contains(&name.as_str())).collect()
}

/// The authorities that the host trusts beyond the public ones, as a file.
fn certificates(daemon: &Daemon, directory: &Path) -> Result<Option<String>> {
    let Some(text) = daemon.certificates.added_text() else { return Ok(None) };
    let path = directory.join("ca.pem");
    files::write(&path, text.as_bytes())?;
    Ok(Some(path.to_string_lossy().into_owned()))
}

struct Parts<'a> {
    image: &'a str,
    volume: &'a str,
    claude: String,
    passwd: Option<String>,
    certificates: Option<String>,
    proxies: BTreeMap<String, String>,
}

fn spec(daemon: &Daemon, trace: &str, parts: &Parts<'_>) -> ContainerSpec {
    let bind = |source: &str, target: &str, read_only| Mount::Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
    };
    let mut mounts = vec![
        Mount::Volume { name: parts.volume.to_owned(), target: RUNTIME.to_owned(), read_only: true, no_copy: true },
        Mount::Tmpfs { target: HOME.to_owned(), size_bytes: HOME_BYTES, mode: 0o1777 },
        bind(&parts.claude, CLAUDE_CONFIG, false),
    ];
    mounts.extend(parts.certificates.as_deref().map(|source| bind(source, CERTIFICATES, true)));
    mounts.extend(parts.passwd.as_deref().map(|source| bind(source, "/etc/passwd", true)));
    let name = format!("boxwood-login-{}", &trace[..12.min(trace.len())]);
    let mut spec = bare(daemon, ROLE, &name);
    spec.labels.insert(labels::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    ContainerSpec {
        image: parts.image.to_owned(),
        command: [HELPER, "keep"].map(str::to_owned).to_vec(),
        env: environment(daemon, parts),
        user: daemon.user.spec(),
        workdir: HOME.to_owned(),
        hostname: "login".to_owned(),
        mounts,
        memory_bytes: MEMORY_BYTES,
        pids: PIDS,
        // No agent works here, only the program that signs in, and what it may reach is its own affair.
        network: NetworkMode::Default,
        without_init: true,
        without_log: true,
        ..spec
    }
}

fn environment(daemon: &Daemon, parts: &Parts<'_>) -> BTreeMap<String, String> {
    let mut env = parts.proxies.clone();
    let mut set = |name: &str, value: &str| {
        env.insert(name.to_owned(), value.to_owned());
    };
    set("PATH", &format!("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{RUNTIME}/bin"));
    set("LANG", "C.UTF-8");
    set("TERM", "xterm-256color");
    set("HOME", HOME);
    set("CLAUDE_CONFIG_DIR", CLAUDE_CONFIG);
    set("DISABLE_AUTOUPDATER", "1");
    set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    // The browser is the person's.
    set("BROWSER", "/bin/false");
    if daemon.user.uid == 0 {
        set("IS_SANDBOX", "1");
    }
    if parts.certificates.is_some() {
        set("NODE_EXTRA_CA_CERTS", CERTIFICATES);
    }
    env
}

/// The command by which `claude` finds a terminal that has its size from the first moment on: told afterwards, it may have
/// written the address already.
fn command(kind: LoginKind) -> Vec<String> {
    let script = format!("stty cols {COLUMNS} rows {ROWS} && exec \"$0\" \"$@\"");
    let words = ["/bin/sh", "-c", &script, CLAUDE];
    words.iter().chain(arguments(kind)).map(|word| (*word).to_owned()).collect()
}

impl Container {
    /// Starts to sign in.
    pub(super) async fn sign_in(&self, kind: LoginKind) -> Result<Running> {
        let spec = ExecSpec { command: command(kind), tty: true, stdin: true, ..ExecSpec::default() };
        self.engine.exec(&self.id, &spec).await.map_err(failed("start Claude Code"))
    }

    /// The status with which `claude` ended.
    pub(super) async fn status(&self, exec_id: &str) -> Result<i64> {
        self.engine.exec_exit_code(exec_id).await.map_err(failed("ask how Claude Code ended"))
    }
}

/// Removes the containers of sign-ins that no operation works on any more.
pub(super) async fn tidy(daemon: &Daemon, engine: &Arc<dyn Engine>, is_running: impl Fn(&str) -> bool) -> Result<()> {
    let filter = [labels::equals(labels::ROLE, ROLE), labels::equals(labels::INSTALLATION, &daemon.installation)];
    let found = engine.list_containers(&filter).await.map_err(failed("look for containers of sign-ins"))?;
    for container in found {
        if !container.labels.get(labels::TRACE).is_some_and(|trace| is_running(trace)) {
            engine.remove_container(&container.id).await.map_err(failed("remove the container of a sign-in"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_has_its_size_before_claude_begins() {
        assert_eq!(
            command(LoginKind::Console),
            ["/bin/sh", "-c", "stty cols 400 rows 50 && exec \"$0\" \"$@\"", CLAUDE, "auth", "login", "--console"]
        );
    }
}
