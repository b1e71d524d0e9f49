//! An engine, a daemon and a project for a list of steps, and how they are compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxwood_core::identity::Identity;
use boxwood_core::paths::Paths;
use boxwood_core::plan::{self, Step};
use boxwood_engine::endpoint::Endpoint;
use boxwood_protocol::config::{Network, SandboxConfig};
use boxwood_protocol::operation::{OperationEnd, OutcomeKind};
use boxwood_protocol::params::EnsureParams;
use boxwood_testkit::docker::{FakeDocker, ImageSeed, Snapshot};

use super::{Beginning, List, Saboteur};
use crate::daemon::Daemon;
use crate::lifecycle::routes::Routes;
use crate::lifecycle::{carry_out, ensure};
use crate::materials::helper::Programs;
use crate::materials::{Materials, image::Image, interior::Interior, runtime::Runtime};
use crate::operations::Subject;
use crate::watcher;

const IMAGE: &str = "debian:bookworm-slim";

pub(crate) struct World {
    pub(crate) engine: FakeDocker,
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) watcher: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

pub(super) type Everything = (Snapshot, BTreeMap<PathBuf, Vec<u8>>);

impl World {
    pub(crate) async fn new() -> Self {
        let engine = FakeDocker::start();
        engine.add_image(&ImageSeed::new(IMAGE));
        let directory = tempfile::tempdir().expect("a directory");
        let project = directory.path().join("project");
        std::fs::create_dir_all(project.join(".git/hooks")).expect("made");
        std::fs::write(project.join(".git/config"), "[core]\n").expect("written");
        std::fs::write(project.join(".env"), "SECRET=1\n").expect("written");
        std::fs::create_dir_all(directory.path().join("home/.keys/deploy")).expect("made");
        let (daemon, watcher) = open(&engine, directory.path()).await;
        let (adapter, _) = daemon.link.engine().await.expect("an engine");
        adapter.create_volume(&materials().runtime.volume, &[]).await.expect("made");
        Self { engine, daemon, directory, watcher }
    }

    pub(super) fn project(&self) -> String {
        let project = self.directory.path().join("project");
        project.canonicalize().expect("there").to_string_lossy().into_owned()
    }

    pub(crate) fn identity(&self) -> Identity {
        ensure::identify(&self.daemon, &self.project(), None).expect("a sandbox")
    }

    /// The engine, the project and the homes of sandboxes.
    pub(super) fn everything(&self) -> Everything {
        let mut files = BTreeMap::new();
        for root in ["project", "state/sandboxes", "state/journal"] {
            collect(&self.directory.path().join(root), &mut files);
        }
        (self.engine.snapshot(), files)
    }

    /// The same in words that do not tell one world from another.
    pub(super) fn outline(&self) -> Vec<String> {
        let (engine, files) = self.everything();
        let containers = engine
            .containers
            .iter()
            .map(|(name, container)| format!("{name} is {} on {}", container.state, container.networks.len()));
        let networks = engine.networks.into_keys().filter(|name| !is_shared(name));
        let root = self.directory.path().to_string_lossy();
        let files = files.keys().map(|path| path.to_string_lossy().replace(&*root, ""));
        let id = self.identity().id;
        containers
            .chain(networks)
            .chain(engine.volumes.into_keys())
            .chain(files)
            .map(|text| text.replace(&id, "ID"))
            .collect()
    }

    /// Does what must be there before a list begins.
    pub(super) async fn begin(&self, list: &List) {
        let gateway = list.before == Network::Gateway;
        if list.beginning != Beginning::Nothing {
            let end = self.play(plan::create(gateway), list.before, Saboteur::default()).await;
            assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
        }
        if list.beginning == Beginning::Stopped {
            let end = self.play(plan::stop(gateway), list.before, Saboteur::default()).await;
            assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
        }
    }

    /// Waits until nobody works on a sandbox any more, also not by himself.
    pub(crate) async fn quiet(&self) {
        self.daemon.settled().await;
        while !self.daemon.reconciling.is_idle() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        drop(self.daemon.turn(&self.identity().id).lock().await);
    }

    /// Settings of a request, with what of the person's home is mounted.
    pub(crate) fn config(network: Network, mounts: &[&str]) -> SandboxConfig {
        SandboxConfig {
            image: Some(IMAGE.to_owned()),
            network: Some(network),
            read_only_mounts: Some(mounts.iter().map(|mount| (*mount).to_owned()).collect()),
            ..SandboxConfig::default()
        }
    }

    /// Goes through a list as an operation would.
    pub(crate) async fn play(&self, steps: Vec<Step>, network: Network, saboteur: Saboteur) -> OperationEnd {
        self.play_as(steps, Self::config(network, &["~/.keys/deploy"]), saboteur).await
    }

    /// The same with other settings.
    pub(crate) async fn play_as(&self, steps: Vec<Step>, config: SandboxConfig, saboteur: Saboteur) -> OperationEnd {
        let daemon = Arc::clone(&self.daemon);
        let project = self.project();
        let started = self.daemon.operations.start("test", Subject::default(), move |handle| async move {
            let params = EnsureParams { project: project.clone(), config: Some(config), ..EnsureParams::default() };
            let identity = ensure::identify(&daemon, &project, None)?;
            let _turn = daemon.turn(&identity.id).lock_owned().await;
            daemon.settled().await;
            let before = daemon.registry.get(&identity.id);
            let makes = steps.contains(&Step::Create);
            let mut work = match &before {
                Some(known) if !makes => ensure::existing(&daemon, handle, identity, known).await?,
                before => ensure::prepare(&daemon, handle, identity, before.as_ref(), params).await?,
            };
            if !makes {
                ensure::again(&mut work);
            }
            work.materials = Some(materials());
            work.saboteur = Some(saboteur);
            carry_out(&mut work, steps).await
        });
        self.daemon.operations.wait(&started.operation_id).await.expect("an end")
    }
}

pub(crate) async fn open(engine: &FakeDocker, directory: &Path) -> (Arc<Daemon>, tokio::task::JoinHandle<()>) {
    let root = directory.to_string_lossy().into_owned();
    let paths = Paths::resolve(
        &|name| match name {
            "BOXWOOD_STATE_DIR" => Some(format!("{root}/state")),
            "HOME" => Some(format!("{root}/home")),
            _ => None,
        },
        1000,
    );
    let host = engine.host();
    let mut daemon = Daemon::open(
        paths,
        &|name| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned()),
        Box::new(move || Endpoint::parse(&host, "test")),
    )
    .expect("opened");
    let program = directory.join("gateway");
    std::fs::write(&program, "a program").expect("written");
    let own = Arc::get_mut(&mut daemon).expect("nobody else has it yet");
    (own.gateways, own.helpers) = (Programs::of(&program), Programs::of(&program));
    // A test that wants the host to have routes writes them there.
    own.routes = Routes::of(directory.join("routes"));
    let watcher = tokio::spawn(watcher::run(Arc::clone(&daemon)));
    daemon.registry.ready().await;
    (daemon, watcher)
}

fn materials() -> Materials {
    Materials {
        interior: Interior::default(),
        image: Image { id: IMAGE.to_owned(), reference: IMAGE.to_owned(), env: Vec::new() },
        runtime: Runtime { volume: "boxwood-runtime-test".to_owned(), claude_version: "1.0.0".to_owned() },
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.insert(path.clone(), Vec::new());
            collect(&path, files);
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
}

/// What all gateways have in common stays for the next one.
fn is_shared(network: &str) -> bool {
    network.starts_with("boxwood-egress-")
}

/// Engines number containers and sandboxes carry trace ids; neither matters for "as it was".
pub(super) fn same(before: &Everything, after: &Everything, what: &str) {
    let names = |everything: &Everything| {
        let containers: Vec<_> = everything
            .0
            .containers
            .iter()
            .map(|(name, c)| (name.clone(), c.state.clone(), c.networks.clone()))
            .collect();
        let mut networks = everything.0.networks.clone();
        networks.retain(|name, _| !is_shared(name));
        (containers, networks.into_keys().collect::<Vec<_>>(), everything.0.volumes.clone())
    };
    assert_eq!(names(before), names(after), "the engine after {what}");
    let paths = |everything: &Everything| everything.1.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(before), paths(after), "the files after {what}");
    let project = |everything: &Everything| {
        everything
            .1
            .iter()
            .filter(|(path, _)| path.to_string_lossy().contains("/project"))
            .map(|(_, c)| c.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(project(before), project(after), "the project after {what}");
}
