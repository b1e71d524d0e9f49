//! A world of its own for each test: directories, environment, a daemon, a project. What was made in it goes with it.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use boxwood_protocol::params::{DaemonStatus, EnsureResult};
use boxwood_protocol::sandbox::{SandboxDetail, SandboxInfo};
use tempfile::TempDir;

use crate::cli::{Cli, Finished, signal};
use crate::docker;

/// Label that tells the installations on one engine apart.
const INSTALLATION: &str = "dev.boxwood.installation";

/// How long a daemon may take to leave when a world ends.
const GRACE: Duration = Duration::from_secs(20);

/// Variables of the caller that would lead out of the world, or that change what the command line does.
const NOT_INHERITED: [&str; 6] = ["BOXWOOD_", "ANTHROPIC_", "CLAUDE", "XDG_", "CI", "NO_COLOR"];

/// A world.
pub struct World {
    root: TempDir,
    project: PathBuf,
    env: Vec<(OsString, OsString)>,
    undo: RefCell<Vec<Box<dyn FnOnce()>>>,
}

/// The checkout. Asked for at run time, because the tests may run from a copy elsewhere.
#[must_use]
pub fn repository() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.ancestors().nth(2).map_or_else(|| package.clone(), Path::to_path_buf)
}

/// The program under test.
#[must_use]
pub fn program() -> PathBuf {
    std::env::var_os("BOXWOOD_BIN").map_or_else(|| repository().join("target/release/boxwood"), PathBuf::from)
}

/// The version of Claude Code that the product pins.
///
/// # Panics
/// When the file that pins it is not there or says nothing.
#[must_use]
pub fn pinned_claude() -> String {
    let text = fs::read_to_string(repository().join("images/claude.json")).expect("the pin is there");
    let pin: serde_json::Value = serde_json::from_str(&text).expect("the pin is JSON");
    pin["version"].as_str().expect("the pin has a version").to_owned()
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with an empty project.
    #[must_use]
    pub fn new() -> Self {
        Self::with_project("project")
    }

    /// A world whose empty project's directory has this name.
    ///
    /// # Panics
    /// When the directories cannot be made.
    #[must_use]
    pub fn with_project(name: impl AsRef<OsStr>) -> Self {
        let root = tempfile::Builder::new().prefix("boxwood-test-").tempdir().expect("a temporary directory");
        let path = root.path().canonicalize().expect("a canonical path");
        let project = path.join(name.as_ref());
        for directory in [&project, &path.join("home"), &path.join("config")] {
            fs::create_dir_all(directory).expect("a directory");
        }
        let own_home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let cache = std::env::var_os("BOXWOOD_CACHE_DIR").map(PathBuf::from);
        let xdg_cache = std::env::var_os("XDG_CACHE_HOME").map(|base| PathBuf::from(base).join("boxwood"));
        // Claude is downloaded once for all worlds.
        let cache = cache.or(xdg_cache).unwrap_or_else(|| own_home.join(".cache/boxwood"));
        let is_inherited = |name: &OsStr| {
            let name = name.to_string_lossy();
            !NOT_INHERITED.iter().any(|prefix| name.starts_with(prefix)) && name != "HOME"
        };
        let mut env: Vec<(OsString, OsString)> = std::env::vars_os().filter(|(name, _)| is_inherited(name)).collect();
        let mut set = |name: &str, value: PathBuf| env.push((name.into(), value.into()));
        set("HOME", path.join("home"));
        set("BOXWOOD_STATE_DIR", path.join("state"));
        set("BOXWOOD_RUNTIME_DIR", path.join("run"));
        set("BOXWOOD_CONFIG_DIR", path.join("config"));
        set("BOXWOOD_CACHE_DIR", cache);
        // The keyring is the machine's, and a person's own may answer there.
        set("BOXWOOD_KEYRING", "file".into());
        for name in ["BOXWOOD_HELPER", "BOXWOOD_GATEWAY"] {
            if let Some(program) = std::env::var_os(name) {
                set(name, program.into());
            }
        }
        // Where the person's own settings lead to the engine and to packages, they lead there from here too.
        if std::env::var_os("DOCKER_CONFIG").is_none() && own_home.join(".docker").is_dir() {
            set("DOCKER_CONFIG", own_home.join(".docker"));
        }
        if std::env::var_os("NPM_CONFIG_USERCONFIG").is_none() && own_home.join(".npmrc").is_file() {
            set("NPM_CONFIG_USERCONFIG", own_home.join(".npmrc"));
        }
        Self { root, project, env, undo: RefCell::default() }
    }

    /// Sets a variable for every call from now on.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
    }

    /// The directory that holds everything.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap_or_else(|_| self.root.path().to_path_buf())
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// The daemon's state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root().join("state")
    }

    /// The directory of the daemon's socket.
    #[must_use]
    pub fn runtime(&self) -> PathBuf {
        self.root().join("run")
    }

    /// The person's home directory.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// The environment of this world's processes.
    #[must_use]
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    /// Writes a file of the project, and the directories it needs.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let target = self.project.join(path);
        fs::create_dir_all(target.parent().expect("inside the project")).expect("a directory");
        fs::write(target, contents).expect("a file");
    }

    /// Writes the person's own settings, all at once, so that a daemon that looks meanwhile sees the old or the new ones.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn configure(&self, settings: &serde_json::Value) {
        let (file, new) = (self.root().join("config/sandbox.jsonc"), self.root().join("config/new"));
        fs::write(&new, settings.to_string()).expect("written");
        fs::rename(new, file).expect("renamed");
    }

    /// A call of the program in the project, which stays uncalled until it is run.
    #[must_use]
    pub fn boxwood<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cli {
        let directory = if self.project.is_dir() { self.project.clone() } else { self.root() };
        Cli::new(program()).only_env(&self.env).within(directory).args(args)
    }

    /// Starts the project's sandbox with these further arguments.
    #[must_use]
    #[track_caller]
    pub fn start_with<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> EnsureResult {
        let result: EnsureResult = self.boxwood(["start", "--json"]).args(args).run().json();
        self.forget_image(&result.sandbox.image);
        result
    }

    /// Starts the project's sandbox.
    #[must_use]
    #[track_caller]
    pub fn start(&self) -> EnsureResult {
        self.start_with::<&str>([])
    }

    /// Runs a command in the project's sandbox.
    #[must_use]
    pub fn exec<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> Finished {
        self.boxwood(["exec", "--"]).args(command).run()
    }

    /// Runs a shell script in the project's sandbox.
    #[must_use]
    pub fn sh(&self, script: &str) -> Finished {
        self.exec(["sh", "-c", script])
    }

    /// The sandboxes.
    #[must_use]
    #[track_caller]
    pub fn list(&self) -> Vec<SandboxInfo> {
        self.boxwood(["list", "--json"]).run().json()
    }

    /// Everything about the project's sandbox.
    #[must_use]
    #[track_caller]
    pub fn inspect(&self) -> SandboxDetail {
        self.boxwood(["inspect", "--json"]).run().json()
    }

    /// The daemon, when one runs.
    #[must_use]
    pub fn daemon(&self) -> Option<DaemonStatus> {
        serde_json::from_slice(&self.boxwood(["daemon", "status", "--json"]).run().stdout).ok().flatten()
    }

    /// The home directory of a sandbox, on the host.
    #[must_use]
    pub fn home_of(&self, sandbox: &SandboxInfo) -> PathBuf {
        self.state().join("sandboxes").join(&sandbox.id).join("home")
    }

    /// Names of what lies in the project, sorted.
    ///
    /// # Panics
    /// When the project cannot be read.
    #[must_use]
    pub fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.project).expect("the project is there");
        let mut names: Vec<_> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Filter for what this world's daemon made, once there was one.
    #[must_use]
    pub fn filter(&self) -> Option<String> {
        let id = fs::read_to_string(self.state().join("installation")).ok()?;
        Some(format!("label={INSTALLATION}={}", id.trim()))
    }

    /// This world's containers, without the gateways beside them.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        let Some(filter) = self.filter() else { return Vec::new() };
        let gateways = docker::containers_of("gateway", &filter);
        self.all_containers().into_iter().filter(|id| !gateways.contains(id)).collect()
    }

    /// All of this world's containers.
    #[must_use]
    pub fn all_containers(&self) -> Vec<String> {
        self.filter().map(|filter| docker::containers(&filter)).unwrap_or_default()
    }

    /// Whether this world has no container at all.
    #[must_use]
    pub fn has_no_container(&self) -> bool {
        self.all_containers().is_empty()
    }

    /// Does something when the world ends, the last first.
    pub fn at_end(&self, undo: impl FnOnce() + 'static) {
        self.undo.borrow_mut().push(Box::new(undo));
    }

    /// Removes an image of the project when the world ends. The product's own images are everybody's and stay.
    pub fn forget_image(&self, reference: &str) {
        if reference.starts_with("boxwood-project:") {
            let reference = reference.to_owned();
            // Another test may use the same content.
            self.at_end(move || drop(docker::try_docker(&["image", "rm", &reference])));
        }
    }

    /// Ends the daemon by force, as a crash would.
    ///
    /// # Panics
    /// When none runs.
    pub fn kill_daemon(&self) {
        let pid = self.daemon().expect("a daemon runs").pid;
        signal(pid, "KILL");
        crate::until("the daemon's death", || (!is_alive(pid)).then_some(()));
    }
}

/// Whether a process runs; one that only waits to be collected does not.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

/// Ends a daemon gently, or else by force. Never panics, so that a failed test says why it failed.
fn end(pid: u32) {
    signal(pid, "TERM");
    let asked = Instant::now();
    while is_alive(pid) {
        if asked.elapsed() > GRACE {
            return signal(pid, "KILL");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(status) = self.daemon() {
            end(status.pid);
        }
        // The state directory may be gone with what is undone.
        let filter = self.filter();
        let containers = self.all_containers();
        if !containers.is_empty() {
            let mut args = vec!["rm".to_owned(), "--force".to_owned(), "--volumes".to_owned()];
            args.extend(containers);
            drop(docker::try_docker(&args));
        }
        for undo in self.undo.take().into_iter().rev() {
            undo();
        }
        for network in filter.map(|filter| docker::networks(&filter)).unwrap_or_default() {
            drop(docker::try_docker(&["network", "rm", &network]));
        }
        let removed = fs::remove_dir_all(self.root.path());
        if !std::thread::panicking() {
            removed.expect("nothing in the world is out of its owner's reach");
        }
    }
}
