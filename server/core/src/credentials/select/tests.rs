//! Which source wins, and what is said about it.

use proptest::prelude::*;

use CredentialMode::{Brokered, Isolated, Sync, Token};
use CredentialSource::{
    BedrockKey, EnvironmentKey, EnvironmentLogin, HostLogin, KeyHelper, LoginHome, StoredKey, StoredLogin, Vertex,
};

use super::*;

fn usable(sources: &[CredentialSource]) -> Vec<Finding> {
    sources.iter().map(|source| Finding { source: *source, found: Found::Usable }).collect()
}

fn wish(source: CredentialSource, mode: Option<CredentialMode>, consent: bool) -> Wish {
    Wish { source: Some(source), mode, consent }
}

#[test]
fn the_first_that_is_there_decides() {
    let check = |sources: &[CredentialSource], expected: (CredentialSource, CredentialMode)| {
        let choice = choose(&usable(sources), &Wish::default(), true, false);
        assert_eq!(choice.outcome, Ok(expected), "{sources:?}");
        assert_eq!(choice.mode(), expected.1);
    };
    check(&[LoginHome, StoredKey, KeyHelper, EnvironmentKey], (EnvironmentKey, Brokered));
    check(&[LoginHome, StoredKey, KeyHelper], (KeyHelper, Brokered));
    check(&[LoginHome, StoredLogin, StoredKey], (StoredKey, Brokered));
    check(&[LoginHome, EnvironmentLogin], (EnvironmentLogin, Token));
    check(&[LoginHome, HostLogin], (LoginHome, Isolated));
    check(&[EnvironmentKey, Vertex], (Vertex, Brokered));
}

#[test]
fn the_login_of_this_machine_is_used_only_by_choice() {
    let found = usable(&[HostLogin]);
    assert_eq!(choose(&found, &Wish::default(), true, false).outcome, Err(Refusal::Nothing { is_ci: false }));
    let chosen = |mode, consent| choose(&found, &wish(HostLogin, mode, consent), false, false).outcome;
    assert_eq!(chosen(None, true), Err(Refusal::NeedsMode(HostLogin)));
    assert!(matches!(chosen(Some(Token), false), Err(Refusal::NeedsConsent(HostLogin, Token, _))));
    assert_eq!(chosen(Some(Token), true), Ok((HostLogin, Token)));
    assert_eq!(chosen(Some(Sync), true), Ok((HostLogin, Sync)));
    assert_eq!(chosen(Some(Isolated), true), Err(Refusal::NotServed(HostLogin, Isolated)));
}

#[test]
fn another_account_is_never_taken_in_silence() {
    let mut found = usable(&[LoginHome]);
    found.push(Finding { source: StoredKey, found: Found::Unusable(Problem::Locked) });
    let choice = choose(&found, &Wish::default(), true, false);
    assert_eq!(choice.outcome, Err(Refusal::Unusable(StoredKey, Problem::Locked)));
    assert_eq!(choose(&found, &wish(LoginHome, None, false), true, false).outcome, Ok((LoginHome, Isolated)));
    let gone = choose(&usable(&[LoginHome]), &wish(StoredKey, None, false), true, false);
    assert_eq!(gone.outcome, Err(Refusal::ChosenEmpty(StoredKey)));
}

#[test]
fn without_a_gateway_a_key_is_inside_and_that_is_said() {
    let found = usable(&[EnvironmentKey]);
    let choice = choose(&found, &Wish::default(), false, false);
    assert_eq!(choice.outcome, Ok((EnvironmentKey, Token)));
    assert!(choice.warnings[0].contains("inside the sandbox"), "{:?}", choice.warnings);
    assert!(choose(&found, &Wish::default(), true, false).warnings.is_empty());
    let asked = choose(&found, &wish(EnvironmentKey, Some(Brokered), false), false, false);
    assert_eq!(asked.outcome, Err(Refusal::NeedsGateway(EnvironmentKey)), "what was asked for is not weakened");
    let bedrock = choose(&usable(&[BedrockKey]), &Wish::default(), false, false);
    assert_eq!(bedrock.outcome, Err(Refusal::NeedsGateway(BedrockKey)));
    assert!(choose(&usable(&[StoredLogin]), &Wish::default(), false, false).warnings.is_empty());
}

#[test]
fn the_next_step_fits_who_is_there() {
    let nothing = |is_ci| choose(&[], &Wish::default(), true, is_ci).outcome.expect_err("nothing").next_step();
    assert!(nothing(true).contains("ANTHROPIC_API_KEY") && nothing(false).contains("boxwood login"));
    assert_eq!(choose(&[], &Wish::default(), true, false).mode(), Isolated);
}

#[test]
fn every_source_says_why() {
    let mut found = usable(&[EnvironmentKey, LoginHome, HostLogin]);
    found.push(Finding { source: StoredKey, found: Found::Unusable(Problem::Locked) });
    let choice = choose(&found, &Wish::default(), true, false);
    let lines: Vec<String> = choice
        .sources
        .iter()
        .map(|report| format!("{}: {:?}, {}", report.source.as_str(), report.usage, report.reason))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn sources() -> impl Strategy<Value = Vec<Finding>> {
    let problems = [Problem::Locked, Problem::Ended, Problem::Missing("AWS_REGION"), Problem::LongLived];
    let found = prop_oneof![
        3 => Just(None), 2 => Just(Some(Found::Usable)),
        1 => prop::sample::select(problems.to_vec()).prop_map(|problem| Some(Found::Unusable(problem))),
    ];
    prop::collection::vec(found, SOURCES.len()).prop_map(|found| {
        let pairs = SOURCES.iter().zip(found);
        pairs.filter_map(|(entry, found)| Some(Finding { source: entry.source, found: found? })).collect()
    })
}

fn wishes() -> impl Strategy<Value = Wish> {
    let all: Vec<CredentialSource> = SOURCES.iter().map(|entry| entry.source).collect();
    (
        prop::option::of(prop::sample::select(all)),
        prop::option::of(prop::sample::select(CredentialMode::ALL.to_vec())),
        any::<bool>(),
    )
        .prop_map(|(source, mode, consent)| Wish { source, mode, consent })
}

proptest! {
    /// Whatever was found and wished: what is chosen is there, can be served, and was agreed to; a refusal says what to do.
    #[test]
    fn a_choice_is_allowed_and_a_refusal_helps(found in sources(), wish in wishes(), gateway in any::<bool>(), is_ci in any::<bool>()) {
        let choice = choose(&found, &wish, gateway, is_ci);
        prop_assert_eq!(choice.sources.len(), SOURCES.len());
        let chosen = choice.sources.iter().filter(|report| report.usage == CredentialUse::Chosen).count();
        match choice.outcome {
            Ok((source, mode)) => {
                prop_assert_eq!(chosen, 1);
                let usable = Finding { source, found: Found::Usable };
                prop_assert!(found.contains(&usable));
                let entry = source::of(source).expect("declared");
                let service = entry.service(mode).expect("served");
                prop_assert!(wish.consent || !matches!(service.when, When::Explained(_)));
                prop_assert!(gateway || mode != Brokered);
                prop_assert!(!entry.is_by_choice || wish.source == Some(source));
                prop_assert!(wish.source.is_none_or(|wished| wished == source));
                prop_assert!(wish.mode.is_none_or(|wished| wished == mode));
            }
            Err(refusal) => {
                prop_assert!(!refusal.reason().is_empty() && refusal.next_step().len() > 10, "{:?}", refusal);
            }
        }
    }
}
