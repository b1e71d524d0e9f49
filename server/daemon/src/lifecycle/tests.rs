//! One generated test for all lists of steps: every step is repeated, fails and is cancelled, before it and after it;
//! every undo fails; and each time the engine, the project and the state directory are found as they were. From where
//! there is nothing to go back to, they are found as the list leaves them.

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
    async fn go_wrong(&self, work: &Work, step: Step, moment: Moment) -> Result<()> {
        match self.wrong {
            Some((at, when, Way::Cancel)) if at == step && when == moment => {
                work.handle.cancel.cancel();
                let steps = &work.journal.steps;
                match steps[..plan::undoable(steps)].contains(&step) {
                    true => std::future::pending().await,
                    false => Ok(()),
                }
            }
            Some((at, when, Way::Fail)) if at == step && when == moment => {
                Err(error::internal(format!("{} was made to fail", step.name())))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn before(&self, work: &Work, step: Step) -> Result<()> {
        self.go_wrong(work, step, Moment::Before).await
    }

    pub(crate) async fn after(&self, work: &mut Work, step: Step) -> Result<()> {
        if self.repeats {
            work.perform(step).await?;
        }
        self.go_wrong(work, step, Moment::After).await
    }

    /// What is done because there is nothing to go back to fails where undoing does.
    pub(crate) fn rest(&self, step: Step) -> Result<()> {
        match self.undo_fails {
            true => Err(error::internal(format!("going on with {} was made to fail", step.name()))),
            false => Ok(()),
        }
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
            list("remove with its home", Running, plan::remove(gateway, true)),
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
    open_lists_go_on_where_there_is_no_way_back: go_on_where_there_is_no_way_back(Open, Open),
    gateway_lists_go_on_where_there_is_no_way_back: go_on_where_there_is_no_way_back(Gateway, Gateway),
    changes_to_a_gateway_go_on_where_there_is_no_way_back: go_on_where_there_is_no_way_back(Open, Gateway),
    changes_from_a_gateway_go_on_where_there_is_no_way_back: go_on_where_there_is_no_way_back(Gateway, Open),
}

impl List {
    /// Whether there is something to go back to when this goes wrong.
    fn is_undone(&self, index: usize, moment: Moment, way: Way) -> bool {
        let undoable = plan::undoable(&self.steps);
        index < undoable || (index == undoable && moment == Moment::Before && way == Way::Fail)
    }
}

const WAYS: [(Moment, Way); 4] = [
    (Moment::Before, Way::Fail),
    (Moment::Before, Way::Cancel),
    (Moment::After, Way::Fail),
    (Moment::After, Way::Cancel),
];

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
        for (index, step) in list.steps.iter().copied().enumerate() {
            for (moment, way) in WAYS {
                if !list.is_undone(index, moment, way) {
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

/// What cannot be undone is told, and the next start of the daemon undoes it.
async fn are_undone_by_the_next_daemon(lists: Vec<List>) {
    for list in &lists {
        for step in list.steps[..plan::undoable(&list.steps)].iter().copied() {
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
            repair_by_another(&world).await;
            same(&before, &world.everything(), &what);
        }
    }
}

/// As after kill -9: another daemon on the same state.
async fn repair_by_another(world: &World) {
    world.watcher.abort();
    world.quiet().await;
    world.daemon.egress.disconnect(&world.identity().id);
    let (again, watcher) = open(&world.engine, world.directory.path()).await;
    let (engine, _) = again.link.engine().await.expect("an engine");
    repair::run(&again, &engine).await;
    watcher.abort();
}

/// Where there is nothing to go back to, a cancel comes too late and a failure is told, and everything is found as the
/// list leaves it: at once, or by the next start of the daemon when the rest cannot be done.
async fn go_on_where_there_is_no_way_back(lists: Vec<List>) {
    for list in &lists {
        let whole = World::new().await;
        whole.begin(list).await;
        assert_eq!(whole.play(list.steps.clone(), list.after, Saboteur::default()).await.outcome, OutcomeKind::Ok);
        whole.quiet().await;
        let expected = whole.outline();
        for (index, step) in list.steps.iter().copied().enumerate() {
            for ((moment, way), undo_fails) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
                // What is cancelled too late does not fail, so there is no rest.
                let is_pointless = undo_fails && way == Way::Cancel;
                if is_pointless || list.is_undone(index, moment, way) {
                    continue;
                }
                let what = format!("{} with {way:?} {moment:?} {}, {undo_fails}", list.name, step.name());
                let world = World::new().await;
                world.begin(list).await;
                let saboteur = Saboteur { wrong: Some((step, moment, way)), undo_fails, ..Saboteur::default() };
                let end = world.play(list.steps.clone(), list.after, saboteur).await;
                let outcome = if way == Way::Fail { OutcomeKind::Failed } else { OutcomeKind::Ok };
                let is_left = way == Way::Fail && undo_fails;
                let left = if is_left { list.steps.len() - plan::undoable(&list.steps) } else { 0 };
                assert_eq!((end.outcome, end.left_over.len()), (outcome, left), "{what}: {end:?}");
                let has_journal = world.daemon.journals().read_dir().expect("there").next().is_some();
                assert_eq!(has_journal, is_left, "{what}");
                if is_left {
                    repair_by_another(&world).await;
                }
                world.quiet().await;
                assert_eq!(world.outline(), expected, "{what}");
            }
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
