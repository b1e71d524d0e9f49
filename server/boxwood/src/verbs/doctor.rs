//! `doctor`: what works, what does not, and what to do about it.

use boxwood_protocol::RpcError;
use boxwood_protocol::contract::Doctor;
use boxwood_protocol::credentials::ClientEnvironment;
use boxwood_protocol::params::{CheckStatus, DoctorCheck, DoctorParams, DoctorReport};

use super::Outcome;
use crate::context::Context;
use crate::output::table::one_line;
use crate::output::{Paint, Style};

/// Exit status when a check failed.
const NOT_WELL: u8 = 1;

pub(super) async fn doctor(context: &Context) -> Outcome {
    let project = context.project().ok();
    let report = match context.connect().await {
        Ok(connection) => {
            let environment = Some(ClientEnvironment::read(&|name| std::env::var(name).ok()));
            context.run::<Doctor>(&connection, &DoctorParams { project, environment }).await?
        }
        // Being asked when something is wrong is its purpose, so this is a finding and not a failure.
        Err(error) => without_daemon(error),
    };
    context.screen.show(&report, |paint| words(&report, paint))?;
    Ok(if report.status == CheckStatus::Failed { NOT_WELL } else { 0 })
}

fn without_daemon(error: RpcError) -> DoctorReport {
    let check = DoctorCheck {
        id: "daemon".to_owned(),
        title: "Daemon".to_owned(),
        status: CheckStatus::Failed,
        detail: error.to_string(),
        hint: error.hint,
    };
    DoctorReport { status: CheckStatus::Failed, checks: vec![check] }
}

fn words(report: &DoctorReport, paint: Paint) -> String {
    let mut lines = Vec::new();
    for check in &report.checks {
        let (style, mark) = match check.status {
            CheckStatus::Ok => (Style::Good, "ok  "),
            CheckStatus::Warning => (Style::Warning, "note"),
            CheckStatus::Failed => (Style::Bad, "FAIL"),
        };
        let mark = paint.paint(style, mark);
        lines.push(format!("{mark}  {}: {}", one_line(&check.title), one_line(&check.detail)));
        if let Some(hint) = &check.hint {
            lines.push(format!("      {} {}", paint.paint(Style::Hint, "next:"), one_line(hint)));
        }
    }
    lines.push(match report.status {
        CheckStatus::Ok => paint.paint(Style::Good, "Everything is in order."),
        CheckStatus::Warning => paint.paint(Style::Warning, "Everything works; see the notes."),
        CheckStatus::Failed => paint.paint(Style::Bad, "Something does not work; see what to do next above."),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, status: CheckStatus, detail: &str, hint: Option<&str>) -> DoctorCheck {
        DoctorCheck {
            id: id.to_owned(),
            title: id.to_owned(),
            status,
            detail: detail.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }

    #[test]
    fn every_finding_that_is_not_well_has_its_next_step_beneath() {
        let report = DoctorReport {
            status: CheckStatus::Failed,
            checks: vec![
                check("engine", CheckStatus::Ok, "version 20.10.24", None),
                check("disk", CheckStatus::Warning, "2.0 GiB free", Some("free some space")),
                check("image", CheckStatus::Failed, "cannot be built", Some("check the network")),
            ],
        };
        insta::assert_snapshot!(words(&report, Paint::new(false)), @r"
        ok    engine: version 20.10.24
        note  disk: 2.0 GiB free
              next: free some space
        FAIL  image: cannot be built
              next: check the network
        Something does not work; see what to do next above.
        ");
    }
}
