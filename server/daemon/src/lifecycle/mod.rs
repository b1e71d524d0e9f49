//! From a request to a list of steps, and through it.

mod aside;
pub(crate) mod attach;
mod calm;
#[cfg(all(test, unix))]
mod calm_tests;
pub(crate) mod ensure;
pub(crate) mod gateway;
#[cfg(test)]
mod gateway_tests;
pub(crate) mod guard;
pub(crate) mod login_home;
mod mask;
pub(crate) mod mounts;
mod network;
#[cfg(test)]
mod outside_tests;
pub(crate) mod overlay;
pub(crate) mod place;
mod placeholders;
mod points;
pub(crate) mod reconcile;
pub(crate) mod routes;
mod running;
pub(crate) mod spec;
pub(crate) mod steps;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod verify;

use std::cmp::Ordering;

use boxwood_core::plan::{Next, Outcome, Report, Run, Step, undoable};

use crate::error::Result;
use crate::operations::cancelled;
use steps::Work;

/// Goes through `steps`. What fails or is cancelled is undone; what cannot be undone is told and stays in the journal for
/// the next start. Past the point of no return nothing is cancelled, and what fails keeps nothing else from being done.
pub(crate) async fn carry_out(work: &mut Work, steps: Vec<Step>) -> Result<()> {
    work.journal.steps.clone_from(&steps);
    let journals = work.daemon.journals();
    work.journal.open(&journals)?;
    let undoable = undoable(&steps);
    let mut run = Run::new(steps);
    let mut problem = None;
    let mut is_all_undone = true;
    loop {
        match run.next() {
            Next::Do(step) => {
                let (done, total) = run.position();
                work.handle.progress(step.name(), step.message(), done, total, None);
                let handle = work.handle.clone();
                let result = match done.cmp(&undoable) {
                    Ordering::Less => handle.or_cancelled(perform(work, step)).await,
                    // Half of it could not be undone: it is done, or not begun.
                    Ordering::Equal if handle.cancel.is_cancelled() => Err(cancelled()),
                    Ordering::Equal | Ordering::Greater => perform(work, step).await,
                };
                tracing::debug!(step = step.name(), is_ok = result.is_ok(), "step");
                if result.is_err() && done >= undoable {
                    if let Some(rest) = past_return(work).await {
                        if go_on(work, rest).await {
                            work.journal.close(&journals)?;
                        }
                        return result;
                    }
                    // Whether there is something to go back to cannot be told past the step itself.
                    is_all_undone = done == undoable;
                }
                run.report(match result {
                    Ok(()) => Report::Ok,
                    Err(_) if done <= undoable && handle.cancel.is_cancelled() => {
                        problem = Some(cancelled());
                        Report::Cancelled
                    }
                    Err(cause) => {
                        problem = Some(cause);
                        Report::Failed
                    }
                });
            }
            Next::Undo(step) => match undo(work, step).await {
                Ok(()) => run.report(Report::Ok),
                Err(cause) => {
                    is_all_undone = false;
                    tracing::warn!(step = step.name(), %cause, "could not be undone");
                    work.handle.left_over(cause.to_string());
                    run.report(Report::Failed);
                }
            },
            Next::End(outcome) => {
                if outcome == Outcome::Done || is_all_undone {
                    work.journal.close(&journals)?;
                }
                return problem.map_or(Ok(()), Err);
            }
        }
    }
}

/// Undoes an operation that was interrupted. True when nothing of it is left.
pub(crate) async fn roll_back(work: &mut Work) -> bool {
    if let Some(rest) = past_return(work).await {
        return go_on(work, rest).await;
    }
    let mut run = Run::interrupted(work.journal.steps.clone());
    let mut is_all_undone = true;
    while let Next::Undo(step) = run.next() {
        if let Err(cause) = undo(work, step).await {
            is_all_undone = false;
            tracing::warn!(step = step.name(), %cause, "could not be undone after an interruption");
        }
        run.report(Report::Ok);
    }
    is_all_undone
}

/// The steps from the point of no return on, when that was passed: what they remove is gone already.
async fn past_return(work: &Work) -> Option<Vec<Step>> {
    let steps = &work.journal.steps;
    let at = steps.iter().position(|step| step.is_point_of_no_return())?;
    let before = work.journal.before.as_deref()?;
    let is_gone = matches!(work.engine.inspect_container(before).await, Err(cause) if cause.is_not_found());
    is_gone.then(|| steps[at..].to_vec())
}

/// There is nothing to go back to, so the rest is done. True when it was; what was not is told.
async fn go_on(work: &mut Work, steps: Vec<Step>) -> bool {
    let mut is_all_done = true;
    for step in steps {
        if let Err(cause) = perform_rest(work, step).await {
            is_all_done = false;
            tracing::warn!(step = step.name(), %cause, "could not be done, and there is nothing to go back to");
            work.handle.left_over(cause.to_string());
        }
    }
    is_all_done
}

async fn perform_rest(work: &mut Work, step: Step) -> Result<()> {
    #[cfg(test)]
    if let Some(saboteur) = work.saboteur.clone() {
        saboteur.rest(step)?;
    }
    work.perform(step).await
}

async fn perform(work: &mut Work, step: Step) -> Result<()> {
    #[cfg(test)]
    let saboteur = work.saboteur.clone();
    #[cfg(test)]
    if let Some(saboteur) = &saboteur {
        saboteur.before(work, step).await?;
    }
    work.perform(step).await?;
    #[cfg(test)]
    if let Some(saboteur) = &saboteur {
        saboteur.after(work, step).await?;
    }
    Ok(())
}

async fn undo(work: &mut Work, step: Step) -> Result<()> {
    #[cfg(test)]
    if let Some(saboteur) = work.saboteur.clone() {
        saboteur.undo(work, step).await?;
    }
    work.undo(step).await
}
