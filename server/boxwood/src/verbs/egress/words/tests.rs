//! What a person sees.

use boxwood_protocol::config::Network;
use boxwood_protocol::egress::PlacedRule;

use super::*;

const NOW_MS: u64 = 1_772_366_400_000;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("timestamp")
}

fn a_rule(host: &str, ports: Option<Vec<u16>>, action: EgressAction) -> EgressRule {
    EgressRule { host: host.to_owned(), ports, action, methods: None, paths: None, private: None, inspect: None }
}

fn hits(layer: EgressLayer, preset: Option<&str>, rule: EgressRule, hits: u64) -> RuleHits {
    RuleHits { placed: PlacedRule { layer, preset: preset.map(str::to_owned), rule }, hits }
}

fn a_decision(host: &str, action: EgressAction) -> EgressDecision {
    EgressDecision {
        serial: 1,
        at_ms: NOW_MS + 5_250,
        host: host.to_owned(),
        port: 443,
        via: EgressVia::Tls,
        action,
        layer: EgressLayer::Preset,
        rule: Some("*.github.com:443".to_owned()),
        reason: None,
        request: None,
        count: 1,
        bytes_up: 0,
        bytes_down: 0,
    }
}

#[test]
fn a_policy_is_a_page() {
    let mut detailed = a_rule("api.example.com", None, EgressAction::Allow);
    detailed.methods = Some(vec!["GET".to_owned(), "HEAD".to_owned()]);
    detailed.paths = Some(vec!["/v1/*".to_owned()]);
    let report = EgressReport {
        network: Network::Gateway,
        enforcement: Enforcement::Outside,
        alarm: None,
        rules: vec![
            hits(EgressLayer::Session, None, a_rule("evil.example\x1b[2J", None, EgressAction::Deny), 0),
            hits(EgressLayer::Project, None, detailed, 2),
            hits(
                EgressLayer::Preset,
                Some("github"),
                a_rule("*.github.com", Some(vec![22, 443]), EgressAction::Allow),
                31,
            ),
        ],
        default: EgressAction::Ask,
        bypass_until_ms: NOW_MS + 540_000,
        asks: vec![EgressAsk { id: "1".into(), host: "a".into(), port: 443, waiting: 1, until_ms: 0 }],
        allowed: 33,
        blocked: 4,
        open: 1,
        presets: Vec::new(),
    };
    insta::assert_snapshot!(policy(&report, Paint::new(false), now()), @r"
    network policy  enforced outside
    bypass          everything is let through for 9 min
    other hosts     held until you answer
    connections     33 let through, 4 refused, 1 open
    waiting         1 host: 'boxwood egress ask'

    HOST                           ACTION  FROM                HITS
    evil.example\u{1b}[2J          deny    this session
    GET,HEAD api.example.com/v1/*  allow   the project's file  2
    *.github.com:22,443            allow   preset github       31
    ");
}

#[test]
fn decisions_are_told_with_their_reason() {
    let mut refused = a_decision("169.254.169.254", EgressAction::Deny);
    refused.rule = None;
    refused.reason = Some("private-address".to_owned());
    refused.count = 3;
    let mut request = a_decision("api.example.com", EgressAction::Allow);
    request.via = EgressVia::Https;
    request.request = Some("GET /v1/things".to_owned());
    (request.bytes_up, request.bytes_down) = (1500, 3 << 20);
    let mut name = a_decision("unknown.example", EgressAction::Deny);
    (name.port, name.via, name.layer, name.rule) = (0, EgressVia::Dns, EgressLayer::Default, None);
    let all = [a_decision("github.com", EgressAction::Allow), refused, request, name.clone()];
    insta::assert_snapshot!(decisions(&all, Paint::new(false)), @r"
    TIME       ACTION  HOST                 VIA                   BY                                          MORE
    12:00:05Z  allow   github.com:443       tls                   preset (*.github.com:443)
    12:00:05Z  deny    169.254.169.254:443  tls                   a private address, and no rule allows that  3 times
    12:00:05Z  allow   api.example.com:443  https GET /v1/things  preset (*.github.com:443)                   1.5 KiB up, 3.0 MiB down
    12:00:05Z  deny    unknown.example      name                  no rule
    ");
    let line = decision(&name, Paint::new(false));
    assert_eq!(line, "12:00:05Z  deny  unknown.example                   name  no rule\n");
}

#[test]
fn what_waits_says_how_long() {
    let ask =
        EgressAsk { id: "1".into(), host: "new.example".into(), port: 443, waiting: 2, until_ms: NOW_MS + 42_000 };
    insta::assert_snapshot!(asks(std::slice::from_ref(&ask), Paint::new(false), now()), @r"
    HOST             WAITING
    new.example:443  2 connections, 42 s left
    ");
    assert_eq!(asked(&ask, now()), "new.example:443 waits (2 connections, 42 s left)");
}

#[test]
fn a_question_beside_a_command_says_how_it_is_answered() {
    let ask =
        |host: &str, port| EgressAsk { id: "1".into(), host: host.into(), port, waiting: 1, until_ms: NOW_MS + 59_400 };
    let (one, other) = (ask("new.example", 443), ask("fd00::1", 22));
    let how = "'boxwood egress ask shop-1' in another terminal";
    let line = question(&one, how, now());
    assert_eq!(line, "new.example:443 waits for your answer (60 s): 'boxwood egress ask shop-1' in another terminal");
    assert_eq!(questions(&[], how), None);
    let line = questions(&[other, one.clone(), one], "x").expect("a line");
    assert_eq!(line, "[fd00::1]:22 and 2 more wait for your answer: x");
}

#[test]
fn what_was_refused_meanwhile_has_its_reason_and_a_next_step() {
    let mut silent = a_decision("registry.example", EgressAction::Deny);
    (silent.layer, silent.rule, silent.reason) = (EgressLayer::Default, None, Some("timeout".to_owned()));
    let mut unnamed = a_decision("evil.example\x1b[2J", EgressAction::Deny);
    (unnamed.layer, unnamed.rule, unnamed.port) = (EgressLayer::Default, None, 0);
    let mut denied = a_decision("never.example", EgressAction::Deny);
    (denied.layer, denied.rule) = (EgressLayer::UserDeny, Some("*.example".to_owned()));
    let few = [silent, unnamed, denied.clone()];
    insta::assert_snapshot!(refused(&few, "boxwood", "shop-1", Paint::new(false)), @r"
    refused meanwhile: registry.example:443 (nobody answered in time), evil.example\u{1b}[2J (no rule names it), never.example:443 (your file (*.example))
    next: 'boxwood egress allow HOST shop-1' allows one in this project, 'boxwood egress log --blocked shop-1' shows all
    ");
    let many = vec![denied; 7];
    assert!(refused(&many, "boxwood", "shop-1", Paint::new(false)).contains(" and 2 more\n"));
}

#[test]
fn a_network_says_how_it_is_enforced() {
    let check = |network, found, expected: &str| {
        assert_eq!(table(Paint::new(false), &[], &[vec![enforcement(network, found)]]).trim(), expected);
    };
    check(Network::Gateway, Enforcement::Outside, "enforced outside");
    check(Network::Gateway, Enforcement::Inside, "enforced inside");
    check(Network::Gateway, Enforcement::Off, "not enforced at present");
    check(Network::Open, Enforcement::Off, "off: the network is open");
    check(Network::None, Enforcement::Off, "none: no network at all");
}
