//! Whether Claude can work with the credentials that there are, and where what is given to Boxwood would be kept.

use std::sync::Arc;

use boxwood_core::credentials::source;
use boxwood_protocol::credentials::{ClientEnvironment, CredentialHealth, CredentialUse, CredentialsStatus};
use boxwood_protocol::params::{CheckStatus, DoctorCheck, SandboxRef};

use super::{check, from_error};
use crate::credentials::store::{Failure, Place};
use crate::daemon::Daemon;
use crate::provisioning::requests;

/// Looks at the credentials of the project's sandbox, or at those that a new one would get.
pub(super) async fn examine(
    daemon: &Arc<Daemon>,
    project: Option<&str>,
    environment: Option<&ClientEnvironment>,
) -> Vec<DoctorCheck> {
    let target = project.map(|project| SandboxRef { project: Some(project.to_owned()), ..SandboxRef::default() });
    // A project without a sandbox has what new ones get.
    let known = target.and_then(|target| daemon.resolve(&target).ok());
    let (status, place) =
        tokio::join!(requests::of(daemon, known.as_ref(), environment), daemon.sources.kept().place());
    let mut checks = match status {
        Ok(status) => of_status(&status),
        Err(problem) => vec![from_error("credentials", TITLE, &problem)],
    };
    checks.push(keyring(daemon, place));
    checks
}

const TITLE: &str = "Claude's credentials";

fn of_status(status: &CredentialsStatus) -> Vec<DoctorCheck> {
    let verdict = match status.health {
        CredentialHealth::Ok => CheckStatus::Ok,
        CredentialHealth::Expiring | CredentialHealth::Attention | CredentialHealth::SignedOut => CheckStatus::Warning,
        CredentialHealth::Expired | CredentialHealth::Unreadable => CheckStatus::Failed,
    };
    let title = status.source.and_then(source::of).map(|entry| format!("{}: ", entry.title)).unwrap_or_default();
    let days = status.days_left.map(|days| format!(", {days} days left")).unwrap_or_default();
    let detail = format!("{title}{}{days}", status.detail);
    let mut checks = vec![check("credentials", TITLE, verdict, detail, status.next_step.as_deref())];
    // Another one may be in use, and this one be the one that the person meant.
    let unusable = status.sources.iter().filter(|report| report.usage == CredentialUse::Unusable);
    checks.extend(unusable.map(|report| {
        let id = format!("credentials-{}", report.source.as_str());
        let hint = Some("'boxwood credentials status' says which one is used instead");
        check(&id, &report.title, CheckStatus::Warning, &report.reason, hint)
    }));
    let warnings = status.warnings.iter().enumerate();
    checks.extend(warnings.map(|(number, warning)| {
        let id = format!("credentials-note-{}", number + 1);
        check(&id, TITLE, CheckStatus::Warning, warning, Some("'boxwood credentials status' says more"))
    }));
    checks
}

fn keyring(daemon: &Daemon, place: Result<Place, Failure>) -> DoctorCheck {
    let title = "Keyring";
    match place {
        Ok(Place::Keyring) => check("keyring", title, CheckStatus::Ok, "the system's keyring answers", None),
        Ok(Place::File) => {
            // Many machines have none and need none; that nothing is encrypted then is told when something is kept.
            let detail = daemon.sources.kept().warning(Place::File).unwrap_or_default();
            check("keyring", title, CheckStatus::Ok, detail, None)
        }
        Err(failure) => {
            let hint = "unlock the keyring, or set BOXWOOD_KEYRING=file and restart the daemon";
            check("keyring", title, CheckStatus::Failed, failure.to_string(), Some(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use boxwood_core::credentials::Clock;
    use boxwood_core::credentials::select::{Finding, Found, Problem, Wish, choose};
    use boxwood_core::credentials::status::{Known, status};
    use boxwood_protocol::credentials::CredentialSource;

    use super::*;

    fn examined(findings: &[Finding]) -> Vec<(String, CheckStatus, Option<String>)> {
        let choice = choose(findings, &Wish::default(), true, false);
        let checks = of_status(&status(&choice, &Known::default(), &Clock::at(0)));
        checks.into_iter().map(|check| (check.id, check.status, check.hint)).collect()
    }

    #[test]
    fn nothing_to_work_with_is_a_note_with_a_next_step() {
        let checks = examined(&[]);
        assert_eq!((checks.len(), checks[0].1), (1, CheckStatus::Warning));
        assert!(checks[0].2.as_ref().is_some_and(|hint| hint.contains("boxwood login")), "{checks:?}");
    }

    #[test]
    fn a_key_is_well() {
        let checks = examined(&[Finding { source: CredentialSource::StoredKey, found: Found::Usable }]);
        assert_eq!(checks, [("credentials".to_owned(), CheckStatus::Ok, None)]);
    }

    #[test]
    fn a_source_that_cannot_be_read_is_named_by_itself() {
        let checks = examined(&[
            Finding { source: CredentialSource::EnvironmentKey, found: Found::Usable },
            Finding { source: CredentialSource::StoredKey, found: Found::Unusable(Problem::Locked) },
        ]);
        assert_eq!(checks.len(), 2, "{checks:?}");
        assert_eq!((checks[0].1, checks[1].1), (CheckStatus::Ok, CheckStatus::Warning));
        assert_eq!(checks[1].0, "credentials-storedKey");
    }
}
