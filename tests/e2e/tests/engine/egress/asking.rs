//! Where a person who works in a terminal hears of connections that wait, and what becomes of them where nobody looks.

use std::time::Instant;

use boxwood_e2e::api::Api;
use boxwood_e2e::internet;
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::{Running, World, until};
use boxwood_protocol::egress::{EgressAction, EgressReport};
use serde_json::{Value, json};

use super::{Connected, anybody};

const NAMES: [&str; 2] = ["asked.test", "friend.test"];

/// A wait that is long for a person and short for a program.
const NOT_HELD: u64 = 20;

fn connected(world: World, egress: Value) -> Connected {
    Connected::new(world, |internet| internet.machine(internet::PLAIN, anybody()), &NAMES, egress, &[])
}

impl Connected {
    fn beginning_to_fetch(&self, url: &str) -> Running {
        self.world.boxwood(["exec", "--", "curl", "-fsS", "-m", "90", "-o", "/dev/null", url]).spawn()
    }
}

/// What becomes of hosts that no rule names.
fn default_of(world: &World) -> EgressAction {
    let report: EgressReport = world.boxwood(["egress", "policy", "--json"]).run().json();
    report.default
}

#[test]
fn a_command_says_what_it_waits_for_and_what_was_refused() {
    let here = connected(World::new(), json!({ "default": "ask", "holdSeconds": 3 }));
    let refused = here.beginning_to_fetch("https://asked.test/");
    refused.wait_for_line("asked.test:443 waits for your answer (");
    let refused = refused.wait();
    let said = refused.err();
    assert_ne!(refused.status, 0);
    let (told, sandbox) = (said.matches("waits for your answer").count(), here.world.inspect().sandbox.id);
    assert!(told == 1 && said.contains(&format!("egress ask {sandbox}' in another terminal")), "{said}");
    assert!(said.contains("refused meanwhile: asked.test:443 (nobody answered in time)\nnext: "), "{said}");

    let allowed = here.beginning_to_fetch("https://asked.test/");
    allowed.wait_for_line("asked.test:443 waits for your answer (");
    let _ = here.world.boxwood(["egress", "allow", "asked.test", "--for-session"]).run().ok();
    let allowed = allowed.wait().ok();
    assert!(!allowed.err().contains("refused"), "{}", allowed.err());
}

#[test]
fn where_nobody_looks_a_new_sandbox_refuses_at_once_unless_settings_say_otherwise() {
    let here = connected(World::new(), json!({ "allow": ["friend.test"] }));
    assert_eq!(default_of(&here.world), EgressAction::Deny);
    let fetch = |url: &str| here.beginning_to_fetch(url).wait();
    let began = Instant::now();
    let refused = fetch("https://asked.test/");
    assert!(refused.status != 0 && began.elapsed().as_secs() < NOT_HELD, "{}", refused.told("was held"));
    assert!(refused.err().contains("refused meanwhile: asked.test (no rule names it)"), "{}", refused.err());
    assert!(fetch("https://friend.test/").ok().err().is_empty());

    // It stays as it was made, also for a person, until settings say something.
    let shown = Terminal::open(&here.world, "start --detach");
    shown.wait_for("It reaches what its policy names and nothing else");
    here.world.configure(&json!({ "egress": { "default": "ask" } }));
    let _ = here.world.boxwood(["refresh", "--preset", "npm"]).run().ok();
    assert_eq!(default_of(&here.world), EgressAction::Ask);
}

#[test]
fn a_person_who_starts_a_sandbox_is_told_that_other_hosts_wait() {
    let world = World::new();
    let mut terminal = Terminal::open(&world, "start --detach");
    terminal.wait_for("other hosts wait for your answer: '");
    terminal.wait_for(&format!("egress ask --follow {}' in another terminal.", world.list().remove(0).id));
    assert_eq!(terminal.wait(), 0);
    assert_eq!(default_of(&world), EgressAction::Ask);
    let again = world.boxwood(["start"]).run().ok();
    assert!(!again.err().contains("other settings"), "{}", again.told("takes nobody's absence for other settings"));
}

#[test]
fn a_question_is_at_the_bottom_of_claudes_screen_until_it_is_answered() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let here = connected(world, json!({ "default": "ask" }));
    let terminal = Terminal::open(&here.world, "attach");
    terminal.wait_for("bypass permissions on");
    let waiting = here.beginning_to_fetch("https://asked.test/");
    terminal.wait_for("asked.test:443 waits for your answer: '");
    let status = || here.world.sh("/opt/boxwood/bin/tmux -S /tmp/boxwood-$(id -u)/tmux.sock show-options -gv status");
    assert_eq!(status().ok().out().trim(), "on");
    let _ = here.world.boxwood(["egress", "allow", "asked.test", "--once"]).run().ok();
    let _ = waiting.wait().ok();
    until("the line's end", || (status().ok().out().trim() == "off").then_some(()));
    terminal.wait_for("bypass permissions on");
}
