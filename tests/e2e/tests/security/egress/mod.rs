//! What gets out of a sandbox: nothing but what the policy names.
//!
//! Each case is an attempt from inside a real container and a twin that does the same where it may. All of them run in
//! one sandbox, a few at a time; afterwards nothing may have reached the thief's machine, the host's service or the other
//! sandbox, and the friend's machine must not have been asked for anybody else.

mod addresses;
mod case;
mod disturbances;
mod files;
mod http;
mod machine;
mod names;
mod proxies;
mod range;
mod tls;

use std::fs;
use std::time::Instant;

use boxwood_e2e::world::repository;
use serde_json::json;

use self::case::Outcome;
use self::range::Range;

/// Attempts at a time: each mostly waits for an answer that does not come.
const AT_A_TIME: usize = 20;

#[test]
fn alone_every_attempt_fails_and_its_twin_succeeds() {
    let start = Instant::now();
    let range = Range::new();
    let (world, settings) = (&range.world, range.settings());
    let mut outcomes = Vec::new();
    for (group, cases) in [
        ("addresses", addresses::CASES),
        ("names", names::CASES),
        ("tls", tls::CASES),
        ("http", http::CASES),
        ("proxies", proxies::CASES),
        ("machine", machine::CASES),
        ("files", files::CASES),
    ] {
        // Files are changed by their cases; the others only wait.
        let at_a_time = if group == "files" { 1 } else { AT_A_TIME };
        let mut found = case::run(world, &settings, cases, at_a_time);
        if let Some(what) = range.reached() {
            found.push(Outcome { name: "nothing got out meanwhile".to_owned(), problem: Some(what) });
        }
        tell(group, &found);
        println!("egress: {group} done after {} s", start.elapsed().as_secs());
        outcomes.extend(found.into_iter().map(|outcome| (group, outcome)));
    }
    let found = disturbances::run(&range);
    tell("disturbances", &found);
    outcomes.extend(found.into_iter().map(|outcome| ("disturbances", outcome)));
    report(&outcomes);
    println!("egress: took {} s", start.elapsed().as_secs());
    assert!(outcomes.iter().all(|(_, outcome)| outcome.problem.is_none()), "see above");
    assert!(outcomes.len() >= 60);
}

fn tell(group: &str, outcomes: &[Outcome]) {
    for outcome in outcomes {
        match &outcome.problem {
            None => println!("ok   {group}: {}", outcome.name),
            Some(problem) => println!("FAIL {group}: {}: {problem}", outcome.name),
        }
    }
}

/// Says the figure, and leaves it where others can compare it with what is written.
fn report(outcomes: &[(&str, Outcome)]) {
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.problem.is_none()).count();
    println!("egress: {failed} of {} attempts failed as they must", outcomes.len());
    let names: Vec<_> = outcomes
        .iter()
        .map(|(group, outcome)| json!({ "group": group, "name": outcome.name, "failed": outcome.problem.is_none() }))
        .collect();
    let directory = repository().join("artifacts");
    let document = json!({ "attempts": outcomes.len(), "failed": failed, "cases": names });
    let text = serde_json::to_string_pretty(&document).expect("JSON");
    fs::create_dir_all(&directory).and_then(|()| fs::write(directory.join("security.json"), text)).expect("written");
}
