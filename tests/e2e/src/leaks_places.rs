//! Every place where a secret of a world could be seen.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use boxwood_protocol::sandbox::SandboxInfo;

use crate::docker::{self, both, docker, try_docker};
use crate::leaks::{Canary, Hit, Hunt};
use crate::world::World;

/// How often processes are looked at while a test goes on.
const PACE: Duration = Duration::from_millis(20);
/// What the product is asked on its command line.
const WORDS: [&[&str]; 11] = [
    &["list"],
    &["inspect"],
    &["inspect", "--config"],
    &["logs"],
    &["stats"],
    &["doctor"],
    &["daemon", "status"],
    &["credentials", "status"],
    &["credentials", "status", "--new"],
    &["egress", "log"],
    &["egress", "status"],
];

/// Looks everywhere, at a world whose sandboxes run. What is in the world is named without the world's own path, and of
/// sandboxes without their own names.
pub fn look_everywhere(hunt: &mut Hunt, world: &World, sandboxes: &[&SandboxInfo]) {
    name(hunt, sandboxes);
    look_at_processes(hunt);
    for sandbox in sandboxes {
        look_inside(hunt, &sandbox.container);
    }
    look_at_words(hunt, world);
    look_at_engine(hunt, world);
    look_at_world(hunt, world);
}

/// Everything that lies in a world.
pub fn look_at_world(hunt: &mut Hunt, world: &World) {
    hunt.call(world.root().display().to_string(), "");
    for path in ["state", "run", "config", "home", "project"] {
        look_at_directory(hunt, path, &world.root().join(path));
    }
}

/// Has places of sandboxes named without these sandboxes' own names.
pub fn name(hunt: &mut Hunt, sandboxes: &[&SandboxInfo]) {
    for sandbox in sandboxes {
        hunt.call(format!("/sandboxes/{}/", sandbox.id), "/sandboxes/ID/");
    }
}

/// Arguments and environment of every process of the machine that may be looked at.
pub fn look_at_processes(hunt: &mut Hunt) {
    let own = std::process::id();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).filter(|pid| *pid != own) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        for (file, what) in [("cmdline", "arguments"), ("environ", "environment")] {
            // One that has ended meanwhile shows nothing to anybody.
            let shown = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            hunt.look(&format!("{what}:{}", name.trim()), shown);
        }
    }
}

/// What processes inside show each other.
pub fn look_inside(hunt: &mut Hunt, container: &str) {
    let script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; env; mount; true";
    hunt.look("inside:", docker(["exec", container, "sh", "-c", script]));
}

/// What is seen inside of files that the engine's own copy of a container lacks: what is mounted, and what is in memory only.
pub fn look_at_mounts(hunt: &mut Hunt, container: &str) {
    let script = "tar c --ignore-failed-read /home/boxwood /var/lib/boxwood /tmp /run /dev/shm 2>/dev/null; true";
    let archive = Command::new("docker").args(["exec", container, "sh", "-c", script]).stdin(Stdio::null()).output();
    let archive = archive.expect("there is a docker client");
    assert!(archive.status.success() && !archive.stdout.is_empty(), "{}", String::from_utf8_lossy(&archive.stderr));
    hunt.look_archive("seen inside", &archive.stdout);
}

/// What the engine itself writes down, where this user may read it: it is in the file that its process writes to.
#[must_use]
pub fn engine_log() -> Option<Vec<u8>> {
    let is_engine =
        |process: &Path| fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "dockerd");
    let processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|process| is_engine(process));
    let files = processes.flat_map(|process| ["fd/1", "fd/2"].map(|file| process.join(file)));
    let logs: Vec<Vec<u8>> = files.filter(|file| file.is_file()).filter_map(|file| fs::read(file).ok()).collect();
    (!logs.is_empty()).then(|| logs.concat())
}

/// What the command line says, to people and to programs.
fn look_at_words(hunt: &mut Hunt, world: &World) {
    for words in WORDS {
        for further in [&["--json"][..], &["-vv"]] {
            let done = world.boxwood([words, further].concat()).run();
            hunt.look(&format!("words:{}", words.join(" ")), [done.stdout, done.stderr].concat());
        }
    }
}

/// All that the engine has and says of a world.
fn look_at_engine(hunt: &mut Hunt, world: &World) {
    let filter = world.filter().expect("there was a daemon");
    hunt.look("log:engine", engine_log().unwrap_or_default());
    let containers = world.all_containers();
    let list = |format: &str| -> Vec<String> {
        containers.iter().flat_map(|id| lines(&docker(["inspect", "--format", format, id]))).collect()
    };
    let images = list("{{.Image}}");
    let volumes = list("{{range .Mounts}}{{if eq .Type \"volume\"}}{{println .Name}}{{end}}{{end}}");
    for (kind, objects) in
        [("image", images.clone()), ("volume", volumes.clone()), ("network", docker::networks(&filter))]
    {
        for object in objects {
            hunt.look(&format!("{kind}:what the engine says"), docker([kind, "inspect", &object]));
        }
    }
    for container in &containers {
        look_at_container(hunt, container);
    }
    let ours = |image: &&String| docker(["inspect", "--format", "{{.RepoTags}}", image]).contains("boxwood-project:");
    for image in &images {
        hunt.look("image:history", docker(["history", "--no-trunc", image]));
    }
    for image in images.iter().filter(ours) {
        hunt.look_archive("layers", &both(&["save", image]));
    }
    for volume in volumes.iter().collect::<std::collections::BTreeSet<_>>() {
        let mount = format!("{volume}:/volume:ro");
        let args =
            ["run", "--rm", "--network", "none", "--volume", &mount, crate::internet::PLAIN, "tar", "c", "/volume"];
        hunt.look_archive("contents", &both(&args));
    }
}

/// All that the engine has and says of a container.
pub fn look_at_container(hunt: &mut Hunt, container: &str) {
    hunt.look("container:what the engine says", docker(["container", "inspect", container]));
    hunt.look("container:processes", try_docker(&["top", container, "-eo", "pid,args"]).unwrap_or_default());
    hunt.look("log:container", both(&["logs", container]));
    hunt.look_archive("files", &both(&["export", container]));
    // What the engine itself keeps of it.
    look_at_directory(hunt, "engine", &Path::new("/var/lib/docker/containers").join(container));
}

/// Names and contents of everything below a directory.
pub fn look_at_directory(hunt: &mut Hunt, kind: &str, directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let place = format!("{kind}:{}", path.display());
        hunt.look(&place, path.as_os_str().as_encoded_bytes());
        match entry.file_type() {
            Ok(file) if file.is_dir() => look_at_directory(hunt, kind, &path),
            Ok(file) if file.is_file() => hunt.look(&place, fs::read(&path).unwrap_or_default()),
            Ok(file) if file.is_symlink() => {
                hunt.look(&place, fs::read_link(&path).unwrap_or_default().as_os_str().as_encoded_bytes());
            }
            _ => {}
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Looks at processes again and again, for those that end soon, and listens to what the engine tells: every command that is
/// started in a container is told with its arguments.
#[derive(Debug)]
pub struct Watch {
    is_over: Arc<AtomicBool>,
    processes: Option<JoinHandle<Vec<Hit>>>,
    engine: Child,
    events: Option<JoinHandle<Vec<u8>>>,
}

impl Watch {
    /// Begins.
    ///
    /// # Panics
    /// When the engine cannot be listened to.
    #[must_use]
    pub fn begin(canaries: &[Canary]) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let (end, mut hunt) = (Arc::clone(&is_over), Hunt::new(canaries));
        let processes = std::thread::spawn(move || {
            while !end.load(Ordering::SeqCst) {
                look_at_processes(&mut hunt);
                std::thread::park_timeout(PACE);
            }
            hunt.hits()
        });
        let mut command = Command::new("docker");
        let engine = command.arg("events").stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut engine = engine.expect("there is a docker client");
        let mut told = engine.stdout.take().expect("a pipe");
        let events = std::thread::spawn(move || {
            let mut all = Vec::new();
            // What was read before a fault is all that there is.
            let _ = told.read_to_end(&mut all);
            all
        });
        Self { is_over, processes: Some(processes), engine, events: Some(events) }
    }

    /// Ends it, and gives what was seen of processes and what the engine told.
    ///
    /// # Panics
    /// When it failed.
    #[must_use]
    pub fn end(mut self) -> (Vec<Hit>, Vec<u8>) {
        self.stop();
        let seen = self.processes.take().expect("it looks").join().expect("it looks");
        (seen, self.events.take().expect("it listens").join().expect("it listens"))
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It may have ended by itself.
        let _ = self.engine.kill();
        let _ = self.engine.wait();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}
