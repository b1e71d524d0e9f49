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
    /// Write Claude's configuration and credentials. Undo: nothing, it goes with the directories.
    Seed,
    /// Make missing mount points in the project. Undo: remove those that are as they were made.
    Placeholders,
    /// Stop the container that is to be replaced and move it aside. Undo: move it back, start it if it ran.
    SetAside,
    /// Make the container. Undo: remove it, if this operation made it.
    Create,
    /// Start the container. Undo: stop it, if this operation started it.
    Start,
    /// Ask the sandbox whether it is well. Undo: nothing.
    Verify,
    /// Stop the container. Undo: start it, if it ran.
    Stop,
    /// Remove what was set aside. Undo: nothing; this is the point of no return.
    DropOld,
    /// Remove the container. Undo: nothing; this is the point of no return.
    Remove,
    /// Remove mount points that were made in the project. Undo: make them again, if the container is still there.
    ClearPlaceholders,
    /// Remove the sandbox's directories, by the person's explicit wish. Undo: nothing.
    Purge,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 13] = [
        Self::Materials,
        Self::Directories,
        Self::Seed,
        Self::Placeholders,
        Self::SetAside,
        Self::Create,
        Self::Start,
        Self::Verify,
        Self::Stop,
        Self::DropOld,
        Self::Remove,
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
            Self::Create => "create",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Stop => "stop",
            Self::DropOld => "drop-old",
            Self::Remove => "remove",
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
            Self::Create => "creating the container",
            Self::Start => "starting the container",
            Self::Verify => "checking that it is well",
            Self::Stop => "stopping the container",
            Self::DropOld => "removing the old container",
            Self::Remove => "removing the container",
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

/// Steps that make and start a sandbox.
#[must_use]
pub fn create() -> Vec<Step> {
    vec![Step::Materials, Step::Directories, Step::Seed, Step::Placeholders, Step::Create, Step::Start, Step::Verify]
}

/// Steps that start a stopped one.
#[must_use]
pub fn start() -> Vec<Step> {
    vec![Step::Directories, Step::Seed, Step::Placeholders, Step::Start, Step::Verify]
}

/// Steps that stop one.
#[must_use]
pub fn stop() -> Vec<Step> {
    vec![Step::Stop, Step::ClearPlaceholders]
}

/// Steps that stop and start one.
#[must_use]
pub fn restart() -> Vec<Step> {
    vec![Step::Directories, Step::Seed, Step::Placeholders, Step::Stop, Step::Start, Step::Verify]
}

/// Steps that make one anew; the old one is kept until the new one is well.
#[must_use]
pub fn recreate() -> Vec<Step> {
    vec![
        Step::Materials,
        Step::Directories,
        Step::Seed,
        Step::Placeholders,
        Step::SetAside,
        Step::Create,
        Step::Start,
        Step::Verify,
        Step::DropOld,
    ]
}

/// Steps that remove one, with its home when `purge`.
#[must_use]
pub fn remove(purge: bool) -> Vec<Step> {
    let mut steps = vec![Step::Stop, Step::Remove, Step::ClearPlaceholders];
    if purge {
        steps.push(Step::Purge);
    }
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
        }
        if self.undoing.is_some() {
            let passed = self.steps[..self.at.saturating_sub(1)].iter().any(|step| step.is_point_of_no_return());
            if passed {
                self.at = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Vec<Step>> {
        vec![create(), start(), stop(), restart(), recreate(), remove(false), remove(true)]
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
    fn nothing_that_can_fail_in_an_ordinary_way_comes_after_the_point_of_no_return() {
        for steps in all() {
            let after = steps.iter().skip_while(|step| !step.is_point_of_no_return()).skip(1);
            for step in after {
                assert!(matches!(step, Step::ClearPlaceholders | Step::Purge), "{step:?}");
            }
        }
    }
}
