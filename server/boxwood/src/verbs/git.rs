//! `git`: which hosts sandboxes get the person's git credentials for.

use boxwood_protocol::contract::{GitApprovals, GitDecide, GitRevoke};
use boxwood_protocol::git::{GitAnswer, GitDecideParams, GitReport, GitRevokeParams};

use super::Outcome;
use crate::args::{GitVerb, TargetArguments};
use crate::context::Context;
use crate::output::table::{Cell, one_line, table};
use crate::output::{Paint, Style};

pub(super) async fn git(verb: GitVerb, context: &Context) -> Outcome {
    match verb {
        GitVerb::Approvals { target } => {
            let target = context.target(target)?;
            let report = context.connect().await?.call::<GitApprovals>(&target).await?;
            context.screen.show(&report, |paint| words(&report, paint))?;
            Ok(0)
        }
        GitVerb::Allow { host, target } => decide(host, target, GitAnswer::Allow, context).await,
        GitVerb::Deny { host, target } => decide(host, target, GitAnswer::Deny, context).await,
        GitVerb::Revoke { host, target } => {
            let params = GitRevokeParams { target: context.target(target)?, host };
            let report = context.connect().await?.call::<GitRevoke>(&params).await?;
            let text =
                format!("Took back what was decided for {}; the next request asks again.\n", one_line(&params.host));
            context.screen.show(&report, |_| text)?;
            Ok(0)
        }
    }
}

async fn decide(host: String, target: TargetArguments, answer: GitAnswer, context: &Context) -> Outcome {
    let params = GitDecideParams { target: context.target(target)?, host, answer };
    let report = context.connect().await?.call::<GitDecide>(&params).await?;
    context.screen.show(&report, |_| decided(&params.host, answer))?;
    Ok(0)
}

fn decided(host: &str, answer: GitAnswer) -> String {
    let host = one_line(host);
    match answer {
        GitAnswer::Allow => format!(
            "Sandboxes of this project get your git credential for {host} when git asks; 'boxwood git revoke {host}' \
             takes that back.\n"
        ),
        GitAnswer::Deny => format!("Sandboxes of this project are refused your git credential for {host}.\n"),
    }
}

fn words(report: &GitReport, paint: Paint) -> String {
    if report.approvals.is_empty() && report.asks.is_empty() {
        return "Nothing was decided for this project, and nothing waits.\n".to_owned();
    }
    let mut rows: Vec<Vec<Cell>> = report
        .approvals
        .iter()
        .map(|approval| {
            let answer = match approval.answer {
                GitAnswer::Allow => Cell::styled(Style::Good, "allowed"),
                GitAnswer::Deny => Cell::styled(Style::Bad, "denied"),
            };
            vec![Cell::from(&approval.host), answer]
        })
        .collect();
    rows.extend(report.asks.iter().map(|ask| vec![Cell::from(&ask.host), Cell::styled(Style::Warning, "waits")]));
    table(paint, &["HOST", "GIT CREDENTIAL"], &rows)
}

#[cfg(test)]
mod tests {
    use boxwood_protocol::git::{GitApproval, GitAsk};

    use super::*;

    #[test]
    fn what_was_decided_and_what_waits_is_shown() {
        let approval = |host: &str, answer| GitApproval { host: host.to_owned(), answer };
        let ask = GitAsk { id: "1".into(), host: "c\n.example".into(), project: "/p".into(), until_ms: 0 };
        let report = GitReport {
            project: "/p".to_owned(),
            approvals: vec![approval("a.example", GitAnswer::Allow), approval("b.example:8443", GitAnswer::Deny)],
            asks: vec![ask],
        };
        let text = words(&report, Paint::default());
        let expected =
            "HOST            GIT CREDENTIAL\na.example       allowed\nb.example:8443  denied\nc\\n.example     waits\n";
        assert_eq!(text, expected);
        let nothing = GitReport { approvals: Vec::new(), asks: Vec::new(), ..report };
        assert!(words(&nothing, Paint::default()).starts_with("Nothing was decided"));
    }
}
