//! Examines what Boxwood needs, and says the next step for each failure.

mod credentials;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use boxwood_core::config::ImageSource;
use boxwood_core::quantity::format_bytes;
use boxwood_engine::Engine;
use boxwood_protocol::credentials::ClientEnvironment;
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::{CheckStatus, DoctorCheck, DoctorParams, DoctorReport};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::materials::{self, base, package};
use crate::operations::Subject;
use crate::{project, settings, sys};

/// Less free space than this is a warning, bytes.
const LITTLE_SPACE: u64 = 4 << 30;
/// Less than this is a failure, bytes.
const NO_SPACE: u64 = 512 << 20;
/// Memory that Claude Code asks for, bytes.
const ENOUGH_MEMORY: u64 = 4 << 30;

/// Starts the examination.
pub(crate) fn start(daemon: &Arc<Daemon>, params: DoctorParams) -> OperationStarted {
    let DoctorParams { project, environment } = params;
    let daemon_ = Arc::clone(daemon);
    daemon.operations.start(
        "doctor",
        Subject { project: project.clone(), sandbox_id: None },
        move |handle| async move {
            handle.or_cancelled(async { Ok(examine(&daemon_, project.as_deref(), environment.as_ref()).await) }).await
        },
    )
}

fn check(id: &str, title: &str, status: CheckStatus, detail: impl Into<String>, hint: Option<&str>) -> DoctorCheck {
    DoctorCheck {
        id: id.to_owned(),
        title: title.to_owned(),
        status,
        detail: detail.into(),
        hint: hint.filter(|_| status != CheckStatus::Ok).map(str::to_owned),
    }
}

fn from_error(id: &str, title: &str, problem: &RpcError) -> DoctorCheck {
    check(id, title, CheckStatus::Failed, problem.to_string(), problem.hint.as_deref())
}

async fn examine(daemon: &Arc<Daemon>, project: Option<&str>, environment: Option<&ClientEnvironment>) -> DoctorReport {
    let mut checks = vec![check(
        "version",
        "Boxwood",
        CheckStatus::Ok,
        format!("{}, Claude Code {}", env!("CARGO_PKG_VERSION"), package::pinned().version),
        None,
    )];
    checks.extend(engine(daemon).await);
    checks.push(user(daemon));
    checks.push(disk("state-disk", "Space for state", &daemon.paths.state));
    checks.push(helper(daemon).await);
    checks.push(claude(daemon, &std::env::var_os("PATH").unwrap_or_default()));
    checks.extend(credentials::examine(daemon, project, environment).await);
    if let Some(path) = project {
        checks.extend(of_project(daemon, path).await);
    }
    DoctorReport { status: checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok), checks }
}

async fn engine(daemon: &Arc<Daemon>) -> Vec<DoctorCheck> {
    let connected = daemon.link.connect().await;
    let status = daemon.link.status();
    let (engine, info) = match connected {
        Ok(connected) => connected,
        Err(problem) => return vec![from_error("engine", "Container engine", &problem)],
    };
    let place = format!("{} (from {})", status.endpoint, status.source);
    let mut checks = vec![check(
        "engine",
        "Container engine",
        CheckStatus::Ok,
        format!("{} with API {} at {place}", info.version, engine.api_version()),
        None,
    )];
    if info.os != "linux" {
        checks.push(check(
            "engine-os",
            "Containers",
            CheckStatus::Failed,
            format!("the engine runs {} containers", info.os),
            Some("switch the engine to Linux containers"),
        ));
    }
    let memory = format_bytes(info.memory_bytes);
    let (verdict, hint) = if info.memory_bytes < ENOUGH_MEMORY {
        (CheckStatus::Warning, Some("give the engine's machine 4 GiB or more"))
    } else {
        (CheckStatus::Ok, None)
    };
    checks.push(check(
        "engine-resources",
        "Resources",
        verdict,
        format!("{} processors, {memory} of memory", info.cpus),
        hint,
    ));
    if Path::new(&info.root_directory).is_dir() {
        checks.push(disk("engine-disk", "Space for images", Path::new(&info.root_directory)));
    }
    let hint = if base::can_be_made(daemon.user, &std::env::var_os("PATH").unwrap_or_default()) {
        "nothing to do: the first start pulls it, or makes it from Debian's packages"
    } else {
        "make sure that a registry answers, so that the first start can pull it; here it cannot be made without one"
    };
    checks.push(image(&engine, "image", "Base image", base::BASE, hint).await);
    checks
}

/// Whether an image is there, or what to do until it is.
async fn image(engine: &Arc<dyn Engine>, id: &str, title: &str, reference: &str, hint: &str) -> DoctorCheck {
    match base::is_there(engine, reference).await {
        Ok(true) => check(id, title, CheckStatus::Ok, format!("{reference} is there"), None),
        Ok(false) => check(id, title, CheckStatus::Warning, format!("{reference} is not there yet"), Some(hint)),
        Err(problem) => from_error(id, title, &problem),
    }
}

fn user(daemon: &Daemon) -> DoctorCheck {
    let title = "User of sandboxes";
    let spec = daemon.user.spec();
    if daemon.user.uid == 0 {
        check(
            "user",
            title,
            CheckStatus::Warning,
            format!("{spec}: you are root, so sandboxes run as root too, without its capabilities"),
            Some("use Boxwood as an ordinary user where you can"),
        )
    } else {
        check("user", title, CheckStatus::Ok, format!("{spec}, so that files made inside belong to you"), None)
    }
}

fn disk(id: &str, title: &str, path: &Path) -> DoctorCheck {
    let Some(free) = sys::free_bytes(path) else {
        return check(id, title, CheckStatus::Ok, format!("{} exists", path.display()), None);
    };
    room(id, title, path, free)
}

fn room(id: &str, title: &str, path: &Path, free: u64) -> DoctorCheck {
    let status = match free {
        free if free < NO_SPACE => CheckStatus::Failed,
        free if free < LITTLE_SPACE => CheckStatus::Warning,
        _ => CheckStatus::Ok,
    };
    let detail = format!("{} free in {}", format_bytes(free), path.display());
    check(id, title, status, detail, Some("free some space, for example with 'boxwood prune'"))
}

async fn helper(daemon: &Arc<Daemon>) -> DoctorCheck {
    let title = "Helper for sandboxes";
    let arch = match daemon.link.engine().await {
        Ok((_, info)) => info.arch,
        Err(_) => std::env::consts::ARCH.to_owned(),
    };
    match daemon.helpers.program(sys::node_arch(&arch)) {
        Ok(helper) => check("helper", title, CheckStatus::Ok, format_bytes(helper.len() as u64), None),
        Err(problem) => from_error("helper", title, &problem),
    }
}

/// Whether Claude Code is at hand or can be had.
fn claude(daemon: &Daemon, path: &OsStr) -> DoctorCheck {
    let title = "Claude Code";
    let is_cached = daemon.paths.cache.join("claude").read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let is_filled = daemon.paths.state.join("runtime").exists();
    let version = &package::pinned().version;
    if is_cached || is_filled {
        return check("claude", title, CheckStatus::Ok, format!("{version} is at hand"), None);
    }
    let name = if cfg!(windows) { "npm.cmd" } else { "npm" };
    if std::env::split_paths(path).any(|directory| directory.join(name).is_file()) {
        return check(
            "claude",
            title,
            CheckStatus::Ok,
            format!("{version} will be downloaded with npm at the first start"),
            None,
        );
    }
    check(
        "claude",
        title,
        CheckStatus::Failed,
        format!("{version} is not at hand and npm, which would download it, is not on the PATH"),
        Some("install Node.js with npm, or put the package's archive into Boxwood's cache directory"),
    )
}

async fn of_project(daemon: &Daemon, path: &str) -> Vec<DoctorCheck> {
    let canonical = match project::canonical(&daemon.paths, path) {
        Ok(canonical) => canonical,
        Err(problem) => return vec![from_error("project", "Project", &problem)],
    };
    let mut checks = vec![disk("project-disk", "Space for the project", Path::new(&canonical))];
    let settings = settings::load(&daemon.paths, &canonical, &Default::default());
    checks.push(match settings.clone().and_then(settings::Settings::approved) {
        Ok(_) => check("config", "Configuration", CheckStatus::Ok, "valid", None),
        Err(problem) if problem.code == ErrorCode::ConfigApproval => {
            check("config", "Configuration", CheckStatus::Warning, problem.to_string(), problem.hint.as_deref())
        }
        Err(problem) => from_error("config", "Configuration", &problem),
    });
    if let Ok(settings) = settings {
        checks.extend(own_image(daemon, &settings).await);
    }
    checks
}

/// The image that a project names or builds.
async fn own_image(daemon: &Daemon, settings: &settings::Settings) -> Option<DoctorCheck> {
    let (id, title) = ("project-image", "Image of the project");
    match &settings.resolved.image {
        ImageSource::Variant(_) => None,
        ImageSource::Dockerfile(path) => Some(match materials::image::dockerfile(&settings.report.project, path) {
            Ok(_) => check(id, title, CheckStatus::Ok, format!("{path} is built when it has changed"), None),
            Err(problem) => from_error(id, title, &problem),
        }),
        ImageSource::Reference(reference) => {
            // Without an engine that is the finding.
            let (engine, _) = daemon.link.engine().await.ok()?;
            let hint =
                "nothing to do where its registry answers: the first start pulls it; else build it under that name";
            Some(image(&engine, id, title, reference, hint).await)
        }
    }
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
