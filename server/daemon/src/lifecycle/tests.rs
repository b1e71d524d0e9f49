//! One generated test for all lists of steps: every step is repeated, fails and is cancelled, before it and after it;
//! every undo fails; and each time the engine, the project and the state directory are found as they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use boxwood_core::identity::Identity;
use boxwood_core::paths::Paths;
use boxwood_core::plan::{self, Step};
use boxwood_engine::endpoint::Endpoint;
use boxwood_protocol::config::{Network, SandboxConfig};
use boxwood_protocol::operation::{OperationEnd, OutcomeKind};
use boxwood_protocol::params::EnsureParams;
use boxwood_testkit::docker::{FakeDocker, ImageSeed, Snapshot};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::steps::Work;
use crate::lifecycle::{carry_out, ensure};
use crate::materials::helper::Programs;
use crate::materials::{Materials, image::Image, interior::Interior, runtime::Runtime};
use crate::operations::{Handle, Subject};
use crate::{repair, watcher};

const IMAGE: &str = "debian:bookworm-slim";

/// When a step goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

/// How it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Fail,
    Cancel,
}

/// Makes a step go wrong, repeats steps, makes undoing fail.
#[derive(Clone, Default)]
pub(crate) struct Saboteur {
    wrong: Option<(Step, Moment, Way)>,
    repeats: bool,
    undo_fails: bool,
    undone: Arc<Mutex<Vec<Step>>>,
}

impl Saboteur {
    async fn go_wrong(&self, handle: &Handle, step: Step, moment: Moment) -> Result<()> {
        match self.wrong {
            Some((at, when, way)) if at == step && when == moment => {
                if way == Way::Cancel {
                    handle.cancel.cancel();
                    std::future::pending::<()>().await;
                }
                Err(error::internal(format!("{} was made to fail", step.name())))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn before(&self, handle: &Handle, step: Step) -> Result<()> {
        self.go_wrong(handle, step, Moment::Before).await
    }

    pub(crate) async fn after(&self, work: &mut Work, step: Step) -> Result<()> {
        if self.repeats {
            work.perform(step).await?;
        }
        let handle = work.handle.clone();
        self.go_wrong(&handle, step, Moment::After).await
    }

    pub(crate) async fn undo(&self, work: &mut Work, step: Step) -> Result<()> {
        self.undone.lock().expect("not poisoned").push(step);
        if self.undo_fails {
            return Err(error::internal(format!("undoing {} was made to fail", step.name())));
        }
        if self.repeats {
            work.undo(step).await?;
        }
        Ok(())
    }
}

/// What a list begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Nothing,
    Stopped,
    Running,
}

struct List {
    name: &'static str,
    beginning: Beginning,
    /// The network it begins with, and the one it ends with.
    before: Network,
    after: Network,
    steps: Vec<Step>,
}

/// Lists of sandboxes that have one kind of network, before and after.
fn lists(before: Network, after: Network) -> Vec<List> {
    use Beginning::{Nothing, Running, Stopped};
    let gateway = before == Network::Gateway;
    if before == after {
        let network = before;
        let list = |name, beginning, steps| List { name, beginning, before: network, after: network, steps };
        return vec![
            list("create", Nothing, plan::create(gateway)),
            list("start", Stopped, plan::start(gateway)),
            list("stop", Running, plan::stop(gateway)),
            list("restart", Running, plan::restart(gateway)),
            list("recreate", Running, plan::recreate(gateway, gateway)),
            list("recreate stopped", Stopped, plan::recreate(gateway, gateway)),
            list("remove", Running, plan::remove(gateway, false)),
        ];
    }
    let list = |(name, beginning)| {
        let steps = plan::recreate(gateway, after == Network::Gateway);
        List { name, beginning, before, after, steps }
    };
    [("change the network of", Running), ("change the network of a stopped", Stopped)].map(list).into()
}

/// Makes the tests for each kind of network.
macro_rules! for_networks {
    ($($name:ident: $check:ident($before:ident, $after:ident),)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $check(lists(Network::$before, Network::$after)).await;
            }
        )*
    };
}

for_networks! {
    open_lists_do_what_they_say: do_what_they_say(Open, Open),
    gateway_lists_do_what_they_say: do_what_they_say(Gateway, Gateway),
    changes_to_a_gateway_do_what_they_say: do_what_they_say(Open, Gateway),
    changes_from_a_gateway_do_what_they_say: do_what_they_say(Gateway, Open),
    open_lists_leave_everything_as_it_was: leave_everything_as_it_was(Open, Open),
    gateway_lists_leave_everything_as_it_was: leave_everything_as_it_was(Gateway, Gateway),
    changes_to_a_gateway_leave_everything_as_it_was: leave_everything_as_it_was(Open, Gateway),
    changes_from_a_gateway_leave_everything_as_it_was: leave_everything_as_it_was(Gateway, Open),
    open_lists_are_undone_by_the_next_daemon: are_undone_by_the_next_daemon(Open, Open),
    gateway_lists_are_undone_by_the_next_daemon: are_undone_by_the_next_daemon(Gateway, Gateway),
    changes_to_a_gateway_are_undone_by_the_next_daemon: are_undone_by_the_next_daemon(Open, Gateway),
    changes_from_a_gateway_are_undone_by_the_next_daemon: are_undone_by_the_next_daemon(Gateway, Open),
}

pub(super) struct World {
    pub(super) engine: FakeDocker,
    pub(super) daemon: Arc<Daemon>,
    pub(super) directory: tempfile::TempDir,
    pub(super) watcher: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

type Everything = (Snapshot, BTreeMap<PathBuf, Vec<u8>>);

impl World {
    pub(super) async fn new() -> Self {
        let engine = FakeDocker::start();
        engine.add_image(&ImageSeed::new(IMAGE));
        let directory = tempfile::tempdir().expect("a directory");
        let project = directory.path().join("project");
        std::fs::create_dir_all(project.join(".git/hooks")).expect("made");
        std::fs::write(project.join(".git/config"), "[core]\n").expect("written");
        std::fs::write(project.join(".env"), "SECRET=1\n").expect("written");
        let (daemon, watcher) = open(&engine, directory.path()).await;
        let (adapter, _) = daemon.link.engine().await.expect("an engine");
        adapter.create_volume(&materials().runtime.volume, &[]).await.expect("made");
        Self { engine, daemon, directory, watcher }
    }

    fn project(&self) -> String {
        let project = self.directory.path().join("project");
        project.canonicalize().expect("there").to_string_lossy().into_owned()
    }

    fn identity(&self) -> Identity {
        ensure::identify(&self.daemon, &self.project(), None).expect("a sandbox")
    }

    /// The engine, the project and the homes of sandboxes.
    fn everything(&self) -> Everything {
        let mut files = BTreeMap::new();
        for root in ["project", "state/sandboxes", "state/journal"] {
            collect(&self.directory.path().join(root), &mut files);
        }
        (self.engine.snapshot(), files)
    }

    /// Does what must be there before a list begins.
    async fn begin(&self, list: &List) {
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
    pub(super) async fn quiet(&self) {
        self.daemon.settled().await;
        while !self.daemon.reconciling.is_idle() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        drop(self.daemon.turn(&self.identity().id).lock().await);
    }

    /// Goes through a list as an operation would.
    pub(super) async fn play(&self, steps: Vec<Step>, network: Network, saboteur: Saboteur) -> OperationEnd {
        let daemon = Arc::clone(&self.daemon);
        let project = self.project();
        let started = self.daemon.operations.start("test", Subject::default(), move |handle| async move {
            let params = EnsureParams {
                project: project.clone(),
                config: Some(SandboxConfig {
                    image: Some(IMAGE.to_owned()),
                    network: Some(network),
                    ..SandboxConfig::default()
                }),
                ..EnsureParams::default()
            };
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

pub(super) async fn open(engine: &FakeDocker, directory: &Path) -> (Arc<Daemon>, tokio::task::JoinHandle<()>) {
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
    let mut daemon = Daemon::open(paths, Box::new(move || Endpoint::parse(&host, "test"))).expect("opened");
    let program = directory.join("gateway");
    std::fs::write(&program, "a program").expect("written");
    let own = Arc::get_mut(&mut daemon).expect("nobody else has it yet");
    (own.gateways, own.helpers) = (Programs::of(&program), Programs::of(&program));
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

/// Steps that come only when there is nothing to go back to.
fn is_after_return(step: Step) -> bool {
    matches!(step, Step::ClearPlaceholders | Step::RemoveNetwork)
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

/// Engines number containers and sandboxes carry trace ids; neither matters for "as it was".
fn same(before: &Everything, after: &Everything, what: &str) {
    let names = |everything: &Everything| {
        let containers: Vec<_> = everything
            .0
            .containers
            .iter()
            .map(|(name, c)| (name.clone(), c.state.clone(), c.networks.clone()))
            .collect();
        let mut networks = everything.0.networks.clone();
        // What all gateways have in common stays for the next one.
        networks.retain(|name, _| !name.starts_with("boxwood-egress-"));
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

/// Every list does what it says, and repeating each step changes nothing.
async fn do_what_they_say(lists: Vec<List>) {
    for list in &lists {
        let once = World::new().await;
        once.begin(list).await;
        let end = once.play(list.steps.clone(), list.after, Saboteur::default()).await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{}: {:?}", list.name, end.error);
        let twice = World::new().await;
        twice.begin(list).await;
        let end = twice.play(list.steps.clone(), list.after, Saboteur { repeats: true, ..Saboteur::default() }).await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{} repeated: {:?}", list.name, end.error);
        let states = |world: &World| {
            world.engine.snapshot().containers.values().map(|container| container.state.clone()).collect::<Vec<_>>()
        };
        assert_eq!(states(&once), states(&twice), "{}", list.name);
        assert!(once.daemon.journals().read_dir().expect("there").next().is_none(), "{}: a journal stays", list.name);
    }
}

/// A failure or a cancel at any step leaves everything as it was.
async fn leave_everything_as_it_was(lists: Vec<List>) {
    for list in &lists {
        let world = World::new().await;
        world.begin(list).await;
        for step in list.steps.iter().copied() {
            for moment in [Moment::Before, Moment::After] {
                for way in [Way::Fail, Way::Cancel] {
                    // Past the point of no return there is nothing to go back to.
                    if moment == Moment::After && step.is_point_of_no_return() || is_after_return(step) {
                        continue;
                    }
                    let what = format!("{} with {way:?} {moment:?} {}", list.name, step.name());
                    world.quiet().await;
                    let before = world.everything();
                    let saboteur = Saboteur { wrong: Some((step, moment, way)), repeats: true, ..Saboteur::default() };
                    let end = world.play(list.steps.clone(), list.after, saboteur).await;
                    let expected = if way == Way::Fail { OutcomeKind::Failed } else { OutcomeKind::Cancelled };
                    assert_eq!((end.outcome, end.left_over.len()), (expected, 0), "{what}: {end:?}");
                    world.quiet().await;
                    same(&before, &world.everything(), &what);
                }
            }
        }
    }
}

/// What cannot be undone is told, and the next start of the daemon undoes it.
async fn are_undone_by_the_next_daemon(lists: Vec<List>) {
    for list in &lists {
        for step in list.steps.iter().copied() {
            if step.is_point_of_no_return() || is_after_return(step) {
                continue;
            }
            let world = World::new().await;
            world.begin(list).await;
            world.quiet().await;
            let before = world.everything();
            let what = format!("{} whose undo fails after {}", list.name, step.name());
            let saboteur =
                Saboteur { wrong: Some((step, Moment::After, Way::Fail)), undo_fails: true, ..Saboteur::default() };
            let end = world.play(list.steps.clone(), list.after, saboteur.clone()).await;
            assert_eq!(end.outcome, OutcomeKind::Failed, "{what}");
            let undone = saboteur.undone.lock().expect("not poisoned").len();
            assert_eq!(
                end.left_over.len(),
                undone,
                "{what}: each is told, and one that fails does not stop the others"
            );
            assert!(world.daemon.journals().read_dir().expect("there").next().is_some(), "{what}: the journal is kept");
            // As after kill -9: another daemon on the same state.
            world.watcher.abort();
            world.quiet().await;
            world.daemon.egress.disconnect(&world.identity().id);
            let (again, watcher) = open(&world.engine, world.directory.path()).await;
            let (engine, _) = again.link.engine().await.expect("an engine");
            repair::run(&again, &engine).await;
            same(&before, &world.everything(), &what);
            watcher.abort();
        }
    }
}
