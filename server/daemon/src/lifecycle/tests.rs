//! One generated test for all lists of steps: every step is repeated, fails and is cancelled, before it and after it;
//! every undo fails; and each time the engine, the project and the state directory are found as they were.

mod world;

use std::sync::{Arc, Mutex};

use boxwood_core::plan::{self, Step};
use boxwood_protocol::config::Network;
use boxwood_protocol::operation::OutcomeKind;
use boxwood_protocol::params::RemoveParams;

use self::world::same;
pub(crate) use self::world::{World, open};
use crate::error::{self, Result};
use crate::lifecycle::ensure;
use crate::lifecycle::steps::Work;
use crate::operations::Handle;
use crate::repair;

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

/// Steps that come only when there is nothing to go back to.
fn is_after_return(step: Step) -> bool {
    matches!(step, Step::ClearPlaceholders | Step::RemoveNetwork)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_undone_is_undone_before_anything_else_is_done() {
    let lists = lists(Network::Open, Network::Open);
    let list = lists.iter().find(|list| list.name == "start").expect("there is one");
    let world = World::new().await;
    world.begin(list).await;
    world.quiet().await;
    let last = *list.steps.last().expect("it has steps");
    let saboteur = Saboteur { wrong: Some((last, Moment::After, Way::Fail)), undo_fails: true, ..Saboteur::default() };
    let end = world.play(list.steps.clone(), list.after, saboteur).await;
    assert_eq!(end.outcome, OutcomeKind::Failed);
    let journals = || world.daemon.journals().read_dir().expect("there").count();
    assert_eq!(journals(), 1, "the journal is kept");
    let params = RemoveParams { project: Some(world.project()), ..RemoveParams::default() };
    let removal = ensure::remove(&world.daemon, &params).expect("it is known");
    let end = world.daemon.operations.wait(&removal.operation_id).await.expect("an end");
    assert_eq!((end.outcome, journals()), (OutcomeKind::Ok, 0));
}
