//! Long work as a list of steps, each with its undo.
//!
//! [`create`], [`start`], [`stop`], [`restart`], [`recreate`] and [`remove`] give the lists; [`Run`] decides what is to
//! be done next when a step succeeded, failed or was cancelled. Doing is the daemon's.

use serde::{Deserialize, Serialize};

/// A step. Doing a step twice is the same as doing it once; so is undoing, and undoing what was never done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Have the image and the runtime volume at hand. Undo: remove containers that were made for a moment; what is whole is kept for the next time.
    Materials,
    /// Make the sandbox's directories on the host. Undo: remove them, if this operation made them.
    Directories,
    /// Write Claude's configuration and credentials. Undo: note again what the sandbox was made with before; all else goes with the directories.
    Seed,
    /// Make missing mount points in the project. Undo: remove those that are as they were made.
    Placeholders,
    /// Stop the container that is to be replaced and move it aside. Undo: move it back, start it if it ran.
    SetAside,
    /// Make the sandbox's own network and its gateway. Undo: remove what of it this operation made, and have the gateway run as it ran before.
    Network,
    /// Make the container. Undo: remove it, if this operation made it.
    Create,
    /// Start the container, and at the same time the gateway with its policy. Undo: stop those that this operation started.
    Start,
    /// Ask the sandbox whether it is well. Undo: nothing.
    Verify,
    /// Stop the container. Undo: start it, if it ran.
    Stop,
    /// Stop the gateway. Undo: start it, if it ran.
    StopGateway,
    /// Remove what was set aside. Undo: nothing; this is the point of no return.
    DropOld,
    /// Remove the container. Undo: nothing; this is the point of no return.
    Remove,
    /// Remove the gateway and the network. Undo: nothing; it comes only past the point of no return.
    RemoveNetwork,
    /// Remove mount points that were made in the project. Undo: make those again that a container which ran needs.
    ClearPlaceholders,
    /// Remove the sandbox's directories, by the person's explicit wish. Undo: nothing.
    Purge,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 16] = [
        Self::Materials,
        Self::Directories,
        Self::Seed,
        Self::Placeholders,
        Self::SetAside,
        Self::Network,
        Self::Create,
        Self::Start,
        Self::Verify,
        Self::Stop,
        Self::StopGateway,
        Self::DropOld,
        Self::Remove,
        Self::RemoveNetwork,
        Self::ClearPlaceholders,
        Self::Purge,
    ];

    /// Short name for progress and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Materials => "image",
            Self::Directories => "directories",
            Self::Seed => "configuration",
            Self::Placeholders => "protect",
            Self::SetAside => "set-aside",
            Self::Network => "network",
            Self::Create => "create",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Stop => "stop",
            Self::StopGateway => "stop-gateway",
            Self::DropOld => "drop-old",
            Self::Remove => "remove",
            Self::RemoveNetwork => "remove-network",
            Self::ClearPlaceholders => "clear",
            Self::Purge => "purge",
        }
    }

    /// What is being done, for a person.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Materials => "getting the image and Claude Code",
            Self::Directories => "preparing its home",
            Self::Seed => "configuring Claude Code",
            Self::Placeholders => "protecting files that the host executes",
            Self::SetAside => "setting the old container aside",
            Self::Network => "making its network and gateway",
            Self::Create => "creating the container",
            Self::Start => "starting the container",
            Self::Verify => "checking that it is well",
            Self::Stop => "stopping the container",
            Self::StopGateway => "stopping its gateway",
            Self::DropOld => "removing the old container",
            Self::Remove => "removing the container",
            Self::RemoveNetwork => "removing its network and gateway",
            Self::ClearPlaceholders => "tidying the project",
            Self::Purge => "deleting its home",
        }
    }

    /// Whether what comes before can no longer be undone once this step is done.
    #[must_use]
    pub const fn is_point_of_no_return(self) -> bool {
        matches!(self, Self::DropOld | Self::Remove | Self::Purge)
    }
}

/// How many of `steps` can be undone: those before the first point of no return.
#[must_use]
pub fn undoable(steps: &[Step]) -> usize {
    steps.iter().position(|step| step.is_point_of_no_return()).unwrap_or(steps.len())
}

/// Steps that make and start a sandbox, whose network has a gateway when `gateway`.
#[must_use]
pub fn create(gateway: bool) -> Vec<Step> {
    let mut steps = vec![Step::Materials, Step::Directories, Step::Seed, Step::Placeholders];
    steps.extend(gateway.then_some(Step::Network));
    steps.extend([Step::Create, Step::Start, Step::Verify]);
    steps
}

/// Steps that start a stopped one.
#[must_use]
pub fn start(gateway: bool) -> Vec<Step> {
    let mut steps = vec![Step::Directories, Step::Seed, Step::Placeholders];
    steps.extend(gateway.then_some(Step::Network));
    steps.extend([Step::Start, Step::Verify]);
    steps
}

/// Steps that stop one.
#[must_use]
pub fn stop(gateway: bool) -> Vec<Step> {
    let mut steps = vec![Step::Stop];
    steps.extend(gateway.then_some(Step::StopGateway));
    steps.push(Step::ClearPlaceholders);
    steps
}

/// Steps that stop and start one.
#[must_use]
pub fn restart(gateway: bool) -> Vec<Step> {
    let mut steps = vec![Step::Directories, Step::Seed, Step::Placeholders, Step::Stop];
    // What is not as it should be of a gateway is mended while it does not run.
    steps.extend(gateway.then_some([Step::StopGateway, Step::Network]).into_iter().flatten());
    steps.extend([Step::Start, Step::Verify]);
    steps
}

/// Steps that make one anew; the old one is kept until the new one is well. `before` and `after` say which of them has a
/// gateway.
#[must_use]
pub fn recreate(before: bool, after: bool) -> Vec<Step> {
    let mut steps = vec![Step::Materials, Step::Directories, Step::Seed, Step::Placeholders, Step::SetAside];
    steps.extend(after.then_some(Step::Network));
    steps.extend([Step::Create, Step::Start, Step::Verify, Step::DropOld]);
    steps.extend((before && !after).then_some(Step::RemoveNetwork));
    steps
}

/// Steps that remove one, with its home when `purge`.
#[must_use]
pub fn remove(gateway: bool, purge: bool) -> Vec<Step> {
    let mut steps = vec![Step::Stop, Step::Remove];
    steps.extend(gateway.then_some(Step::RemoveNetwork));
    steps.push(Step::ClearPlaceholders);
    steps.extend(purge.then_some(Step::Purge));
    steps
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Do the step.
    Do(Step),
    /// Undo the step.
    Undo(Step),
    /// It is over.
    End(Outcome),
}

/// How a list of steps ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every step was done.
    Done,
    /// A step failed, and what was done before was undone as far as it went.
    Failed,
    /// It was cancelled, and what was done before was undone as far as it went.
    Cancelled,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It was done, or undone.
    Ok,
    /// It failed. A failed undo does not stop the others.
    Failed,
    /// It was cancelled before it was done.
    Cancelled,
}

/// Where in its list an operation is.
#[derive(Debug, Clone)]
pub struct Run {
    steps: Vec<Step>,
    at: usize,
    undoing: Option<Outcome>,
}

impl Run {
    /// At the beginning of `steps`.
    #[must_use]
    pub const fn new(steps: Vec<Step>) -> Self {
        Self { steps, at: 0, undoing: None }
    }

    /// At the end of `steps` of which it is not known which were done, to undo all of them.
    #[must_use]
    pub const fn interrupted(steps: Vec<Step>) -> Self {
        let at = steps.len();
        Self { steps, at, undoing: Some(Outcome::Failed) }
    }

    /// Steps done and steps in all.
    #[must_use]
    pub const fn position(&self) -> (usize, usize) {
        (self.at, self.steps.len())
    }

    /// What is to be done next.
    #[must_use]
    pub fn next(&self) -> Next {
        match self.undoing {
            None => self.steps.get(self.at).map_or(Next::End(Outcome::Done), |step| Next::Do(*step)),
            Some(outcome) => match self.at.checked_sub(1) {
                Some(before) => Next::Undo(self.steps[before]),
                None => Next::End(outcome),
            },
        }
    }

    /// Takes note of what became of the step that [`Run::next`] gave. A step that failed or was cancelled may have been done in
    /// part, so it is undone too; what lies before a point of no return is not.
    pub fn report(&mut self, report: Report) {
        if self.undoing.is_some() {
            self.at = self.at.saturating_sub(1);
        } else {
            self.at += 1;
            match report {
                Report::Ok => {}
                Report::Failed => self.undoing = Some(Outcome::Failed),
                Report::Cancelled => self.undoing = Some(Outcome::Cancelled),
            }
            if self.undoing.is_some() && self.at - 1 > undoable(&self.steps) {
                self.at = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Vec<Step>> {
        let of = |gateway| {
            [
                create(gateway),
                start(gateway),
                stop(gateway),
                restart(gateway),
                remove(gateway, false),
                remove(gateway, true),
            ]
        };
        let either = [false, true];
        let recreations = either.into_iter().flat_map(|before| either.map(|after| recreate(before, after)));
        either.into_iter().flat_map(of).chain(recreations).collect()
    }

    /// Plays a list, with `report` for the step at `index`, and gives what was done.
    fn play(steps: Vec<Step>, index: usize, report: Report) -> (Vec<Step>, Vec<Step>, Outcome) {
        let (mut run, mut done, mut undone) = (Run::new(steps), Vec::new(), Vec::new());
        loop {
            match run.next() {
                Next::Do(step) => {
                    done.push(step);
                    run.report(if done.len() == index + 1 { report } else { Report::Ok });
                }
                Next::Undo(step) => {
                    undone.push(step);
                    run.report(Report::Failed);
                }
                Next::End(outcome) => return (done, undone, outcome),
            }
        }
    }

    #[test]
    fn every_list_ends_well_when_nothing_fails() {
        for steps in all() {
            assert_eq!(play(steps.clone(), usize::MAX - 1, Report::Ok), (steps, vec![], Outcome::Done));
        }
    }

    #[test]
    fn a_failure_or_a_cancel_at_any_step_undoes_everything_before_it_even_when_undoing_fails() {
        for steps in all() {
            for index in 0..steps.len() {
                for (report, expected) in [(Report::Failed, Outcome::Failed), (Report::Cancelled, Outcome::Cancelled)] {
                    let (done, undone, outcome) = play(steps.clone(), index, report);
                    assert_eq!((done.len(), outcome), (index + 1, expected));
                    let is_past_return = steps[..index].iter().any(|step| step.is_point_of_no_return());
                    let mut reversed = if is_past_return { vec![] } else { done };
                    reversed.reverse();
                    assert_eq!(undone, reversed, "{steps:?} at {index}");
                }
            }
        }
    }

    #[test]
    fn an_interrupted_list_is_undone_as_a_whole() {
        for steps in all() {
            let (mut run, mut undone) = (Run::interrupted(steps.clone()), Vec::new());
            while let Next::Undo(step) = run.next() {
                undone.push(step);
                run.report(Report::Ok);
            }
            undone.reverse();
            assert_eq!(undone, steps);
        }
    }

    #[test]
    fn a_sandbox_with_a_gateway_never_runs_before_it_is_looked_at() {
        for steps in all() {
            let at = |wanted: Step| steps.iter().position(|step| *step == wanted);
            if let (Some(network), Some(start)) = (at(Step::Network), at(Step::Start)) {
                assert!(network < start && Some(start) < at(Step::Verify), "{steps:?}");
            }
            // Nothing is taken from a sandbox that may still run.
            let ends = [at(Step::Stop), at(Step::DropOld)].into_iter().flatten().min();
            for gateway in [at(Step::StopGateway), at(Step::RemoveNetwork)].into_iter().flatten() {
                assert!(ends.is_some_and(|end| end < gateway), "{steps:?}");
            }
        }
    }

    #[test]
    fn nothing_that_can_fail_in_an_ordinary_way_comes_after_the_point_of_no_return() {
        for steps in all() {
            let after = steps.iter().skip_while(|step| !step.is_point_of_no_return()).skip(1);
            for step in after {
                assert!(matches!(step, Step::RemoveNetwork | Step::ClearPlaceholders | Step::Purge), "{step:?}");
            }
        }
    }
}
