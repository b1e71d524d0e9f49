//! Whether Claude can work with the credentials that there are, and where what is given to Boxwood would be kept.

use std::sync::Arc;

use boxwood_core::credentials::select::{Finding, Found, Problem};
use boxwood_core::credentials::source;
use boxwood_protocol::credentials::{ClientEnvironment, CredentialHealth, CredentialUse, CredentialsStatus};
use boxwood_protocol::params::{CheckStatus, DoctorCheck, SandboxRef};

use super::{check, from_error};
use crate::credentials::store::{Failure, Place};
use crate::daemon::Daemon;
use crate::provisioning::status;

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
        tokio::join!(status::look(daemon, known.as_ref(), environment), daemon.sources.kept().place());
    let mut checks = match status {
        Ok((status, findings)) => of_status(&status, &findings),
        Err(problem) => vec![from_error("credentials", TITLE, &problem)],
    };
    checks.push(of_keyring(place, daemon.sources.kept().warning(Place::File)));
    checks
}

const TITLE: &str = "Claude's credentials";

fn of_status(status: &CredentialsStatus, findings: &[Finding]) -> Vec<DoctorCheck> {
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
        let of_it = |finding: &&Finding| finding.source == report.source;
        let hint = findings.iter().find(of_it).and_then(|finding| match finding.found {
            Found::Unusable(problem) => Some(problem.next_step()),
            Found::Usable => None,
        });
        check(&id, &report.title, CheckStatus::Warning, &report.reason, hint.as_deref())
    }));
    let warnings = status.warnings.iter().enumerate();
    checks.extend(warnings.map(|(number, warning)| {
        let id = format!("credentials-note-{}", number + 1);
        check(&id, TITLE, CheckStatus::Warning, warning, Some("'boxwood credentials status' says more"))
    }));
    checks
}

fn of_keyring(place: Result<Place, Failure>, in_file: Option<String>) -> DoctorCheck {
    let title = "Keyring";
    match place {
        Ok(Place::Keyring) => check("keyring", title, CheckStatus::Ok, "the system's keyring answers", None),
        Ok(Place::File) => {
            // Many machines have none and need none; that nothing is encrypted then is told when something is kept.
            check("keyring", title, CheckStatus::Ok, in_file.unwrap_or_default(), None)
        }
        Err(failure) => {
            let hint = match failure.problem() {
                Problem::Locked => Problem::Locked.next_step(),
                // That is about files.
                _ => "look at it in the keyring's own program, or set BOXWOOD_KEYRING=file and restart the daemon"
                    .to_owned(),
            };
            check("keyring", title, CheckStatus::Failed, failure.to_string(), Some(&hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use boxwood_core::credentials::Clock;
    use boxwood_core::credentials::select::{Wish, choose};
    use boxwood_core::credentials::source::SOURCES;
    use boxwood_core::credentials::status::{Known, status};
    use boxwood_protocol::credentials::CredentialSource;

    use super::*;

    fn examined(findings: &[Finding]) -> Vec<(String, CheckStatus, Option<String>)> {
        let choice = choose(findings, &Wish::default(), true, false);
        let checks = of_status(&status(&choice, &Known::default(), &Clock::at(0)), findings);
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

    #[test]
    fn what_is_wrong_at_a_source_has_the_next_step_of_that() {
        let problems = [
            Problem::Locked,
            Problem::Away,
            Problem::Unreadable,
            Problem::Ended,
            Problem::NotAToken,
            Problem::NotAnEndpoint,
            Problem::Missing("AWS_REGION"),
            Problem::LongLived,
            Problem::NoAwsCredentials,
            Problem::CommandFailed,
        ];
        let first = SOURCES[0].source;
        for source in SOURCES.iter().map(|entry| entry.source) {
            for problem in problems {
                let broken = Finding { source, found: Found::Unusable(problem) };
                let is_said = |findings: &[Finding]| {
                    let (checks, id) = (examined(findings), format!("credentials-{}", source.as_str()));
                    let named = checks.iter().find(|check| check.0 == id);
                    let hint = named.and_then(|check| check.2.clone());
                    assert_eq!(hint, Some(problem.next_step()), "{source:?} {problem:?}");
                    checks[0].2.clone()
                };
                // Alone it is what sandboxes would use, unless it is used by choice only.
                if source != CredentialSource::HostLogin {
                    assert_eq!(is_said(&[broken]), Some(problem.next_step()), "{source:?} {problem:?}");
                }
                if source != first {
                    assert_eq!(is_said(&[Finding { source: first, found: Found::Usable }, broken]), None);
                }
            }
        }
    }

    #[test]
    fn a_keyring_that_fails_has_a_next_step_that_fits() {
        let hint = |failure| of_keyring(Err(failure), None).hint.expect("a hint");
        assert_eq!(hint(Failure::Locked), Problem::Locked.next_step());
        let broken = hint(Failure::Unreadable("it fails".to_owned()));
        assert!(broken.contains("BOXWOOD_KEYRING=file") && !broken.contains("unlock"), "{broken}");
    }
}
