use boxwood_protocol::config::{ConfigSource, SandboxConfig};
use boxwood_protocol::egress::{EgressAction, EgressLayer, EgressPolicy};

use crate::config::{self, ConfigError};
use crate::egress::policy::rule_for;
use crate::egress::{Compiled, Decided, EgressLayers, Host, Query, Requests};
use EgressAction::{Allow, Ask, Deny};
use EgressLayer::{Default, Preset, Project, Remembered, Request, Session, User, UserDeny};

fn layer(text: &str) -> SandboxConfig {
    config::parse(text).expect(text)
}

fn layers(user: &str, project: &str, request: &str) -> [(ConfigSource, SandboxConfig); 3] {
    [
        (ConfigSource::User, layer(user)),
        (ConfigSource::Project, layer(project)),
        (ConfigSource::Request, layer(request)),
    ]
}

fn policy(user: &str, project: &str, request: &str) -> EgressPolicy {
    EgressLayers::of(&layers(user, project, request)).policy(&Decided::default()).expect("valid")
}

fn verdict(policy: &EgressPolicy, host: &str, port: u16) -> (EgressAction, EgressLayer) {
    let host = Host::parse(host).expect(host);
    let compiled = Compiled::new(policy).expect("valid");
    let judged = compiled.judge(&Query { host: &host, port, requests: Requests::Never, now_ms: 0 });
    (judged.action, judged.layer)
}

#[test]
fn without_settings_claude_works_and_the_rest_is_asked() {
    let policy = policy("{}", "{}", "{}");
    assert_eq!(verdict(&policy, "api.anthropic.com", 443), (Allow, Preset));
    assert_eq!(verdict(&policy, "api.anthropic.com", 80), (Ask, Default));
    assert_eq!(verdict(&policy, "example.com", 443), (Ask, Default));
    assert_eq!((policy.hold_seconds, policy.connections, policy.connections_per_second), (60, 1024, 200));
    assert!(policy.rules.iter().all(|placed| placed.preset.as_deref() == Some("claude")));
}

#[test]
fn every_layer_has_its_strength() {
    let user = r#"{"egress": {"allow": ["u.example", "git.example:22"], "deny": ["*.bad.example"], "presets": ["github"],
        "rules": [{"host": "r.example", "action": "deny"}]}}"#;
    let project = r#"{"egress": {"allow": ["p.example", "x.bad.example"], "deny": ["u.example", "github.com"]}}"#;
    let request = r#"{"egress": {"allow": ["u.example", "r.example"], "presets": ["claude"]}}"#;
    let policy = policy(user, project, request);
    let check = |host: &str, port, expected| assert_eq!(verdict(&policy, host, port), expected, "{host}:{port}");
    check("p.example", 443, (Allow, Project));
    check("git.example", 22, (Allow, User));
    check("u.example", 443, (Allow, Request));
    check("u.example", 25, (Deny, Project));
    check("x.bad.example", 443, (Deny, UserDeny));
    check("r.example", 443, (Deny, UserDeny));
    check("github.com", 22, (Deny, Project));
    check("api.github.com", 443, (Allow, Preset));
    let order: Vec<EgressLayer> = policy.rules.iter().map(|placed| placed.layer).collect();
    assert!(order.is_sorted(), "the strongest first: {order:?}");
}

#[test]
fn what_the_person_decided_stands_above_files() {
    let files = EgressLayers::of(&layers(r#"{"egress": {"deny": ["a.example", "b.example"]}}"#, "{}", "{}"));
    let decided = Decided {
        remembered: vec![
            rule_for("a.example", Allow).expect("a rule"),
            rule_for("c.example:443", Deny).expect("a rule"),
        ],
        session: vec![rule_for("c.example:443", Allow).expect("a rule")],
        bypass_until_ms: 7,
    };
    let policy = files.policy(&decided).expect("valid");
    assert_eq!(policy.bypass_until_ms, 7);
    let mut later = policy.clone();
    later.bypass_until_ms = 0;
    assert_eq!(verdict(&later, "a.example", 443), (Allow, Remembered));
    assert_eq!(verdict(&later, "b.example", 443), (Deny, UserDeny));
    assert_eq!(verdict(&later, "c.example", 443), (Allow, Session));
    assert_eq!(verdict(&policy, "b.example", 443), (Allow, EgressLayer::Bypass));
}

#[test]
fn a_project_cannot_loosen_the_persons_own_bounds() {
    let default = |user: &str, project: &str, request: &str| policy(user, project, request).default;
    let of = |action: &str| format!(r#"{{"egress": {{"default": "{action}"}}}}"#);
    assert_eq!(default("{}", &of("allow"), "{}"), Allow);
    assert_eq!(default(&of("deny"), &of("allow"), "{}"), Deny);
    assert_eq!(default(&of("deny"), &of("ask"), "{}"), Deny);
    assert_eq!(default(&of("allow"), &of("deny"), "{}"), Deny);
    assert_eq!(default(&of("deny"), "{}", &of("ask")), Ask);
    let limited = policy(
        r#"{"egress": {"limits": {"connections": 100, "upload": "1g"}}}"#,
        r#"{"egress": {"limits": {"connections": 200, "upload": "2g", "uploadPerSecond": "5m"}}}"#,
        "{}",
    );
    assert_eq!((limited.connections, limited.upload_bytes, limited.upload_bytes_per_second), (100, 1 << 30, 5 << 20));
}

#[test]
fn the_joined_settings_say_what_is_in_force() {
    let (merged, sources) = config::merge(&layers(
        r#"{"egress": {"allow": ["a.example"], "default": "deny", "hosts": {"n.example": "192.0.2.1"}}, "maskedPaths": [".env"]}"#,
        r#"{"egress": {"allow": ["b.example", "a.example"], "default": "ask", "holdSeconds": 5}, "maskedPaths": ["./keys/"]}"#,
        r#"{"egress": {"hosts": {"N.example.": "192.0.2.2"}}}"#,
    ));
    let egress = merged.egress.clone().expect("settings");
    assert_eq!(egress.allow.expect("a list"), ["a.example", "b.example"]);
    assert_eq!((egress.default, egress.hold_seconds), (Some(Deny), Some(5)));
    assert_eq!(sources.get("egress"), Some(&ConfigSource::Request));
    assert_eq!(sources.get("maskedPaths"), Some(&ConfigSource::Project));
    assert_eq!(config::resolve(&merged).expect("valid").masked_paths, [".env", "./keys/"]);
    assert_eq!(config::merge(&layers("{}", "{}", "{}")).0.egress, None);
}

#[test]
fn given_addresses_reach_the_gateway_in_normal_form() {
    let files = EgressLayers::of(&layers(r#"{"egress": {"hosts": {"NAS.example.": "10.0.0.7"}}}"#, "{}", "{}"));
    let hosts = files.hosts();
    assert_eq!(hosts.len(), 1);
    assert_eq!((hosts[0].name.as_str(), hosts[0].address.to_string().as_str()), ("nas.example", "10.0.0.7"));
}

#[test]
fn values_that_cannot_be_used_are_named() {
    let check = |text: &str, expected: &str| match config::parse(text) {
        Err(ConfigError::Value { setting, reason }) => assert_eq!(setting, expected, "{text}: {reason}"),
        other => panic!("{text}: {other:?}"),
    };
    check(r#"{"egress": {"presets": ["nosuch"]}}"#, "egress.presets");
    check(r#"{"egress": {"allow": ["https://a.example"]}}"#, "egress.allow");
    check(r#"{"egress": {"deny": ["a b"]}}"#, "egress.deny");
    check(r#"{"egress": {"rules": [{"host": "a.example", "action": "allow", "ports": [0]}]}}"#, "egress.rules");
    check(r#"{"egress": {"rules": [{"host": "a.example:1", "action": "allow"}]}}"#, "egress.rules");
    check(r#"{"egress": {"hosts": {"*.a.example": "192.0.2.1"}}}"#, "egress.hosts");
    check(r#"{"egress": {"hosts": {"10.0.0.1": "192.0.2.1"}}}"#, "egress.hosts");
    check(r#"{"egress": {"holdSeconds": 0}}"#, "egress.holdSeconds");
    check(r#"{"egress": {"limits": {"connections": 0}}}"#, "egress.limits.connections");
    check(r#"{"egress": {"limits": {"connectionsPerSecond": 1000000}}}"#, "egress.limits.connectionsPerSecond");
    check(r#"{"egress": {"limits": {"upload": "0"}}}"#, "egress.limits.upload");
    check(r#"{"egress": {"limits": {"uploadPerSecond": "fast"}}}"#, "egress.limits.uploadPerSecond");
    let ports: Vec<String> = (1..300).map(|port| format!("\"a.example:{port}\"")).collect();
    check(&format!(r#"{{"egress": {{"allow": [{}]}}}}"#, ports.join(",")), "egress.rules");
    let many: Vec<String> = (0..10_001).map(|index| format!("\"a{index}.example\"")).collect();
    check(&format!(r#"{{"egress": {{"allow": [{}]}}}}"#, many.join(",")), "egress");
    for path in ["", "/etc", "../x", "a/../b", "~/.ssh", "*.p?m", "[ab]", "a**", "**", "./", "*/**/../x", "a\\b"] {
        check(&format!(r#"{{"maskedPaths": [{}]}}"#, serde_json::json!(path)), "maskedPaths");
    }
    for path in [".env", "**/*.pem", "secrets/", "./a/b", "**/.aws/**"] {
        layer(&format!(r#"{{"maskedPaths": ["{path}"]}}"#));
    }
    for bad in [
        r#"{"egress": {"alow": []}}"#,
        r#"{"egress": {"default": "maybe"}}"#,
        r#"{"egress": {"rules": [{"host": "a"}]}}"#,
    ] {
        assert!(matches!(config::parse(bad), Err(ConfigError::Syntax(_))), "{bad}");
    }
}

#[test]
fn what_opens_more_needs_approval_and_what_closes_more_does_not() {
    let check = |egress: &str, expected: &[&str]| {
        assert_eq!(config::widens(&layer(&format!(r#"{{"egress": {egress}}}"#))), expected, "{egress}");
    };
    check(r#"{"deny": ["a.example"], "default": "deny", "presets": ["claude"], "holdSeconds": 5, "allow": []}"#, &[]);
    check(r#"{"rules": [{"host": "*", "action": "deny"}, {"host": "a.example", "action": "ask"}]}"#, &[]);
    check(r#"{"limits": {"connections": 10, "upload": "1m"}}"#, &[]);
    check(r#"{"allow": ["a.example", "b.example:22"]}"#, &["may reach a.example, b.example:22"]);
    check(r#"{"presets": ["claude", "npm", "go"]}"#, &["may reach the hosts of npm, go"]);
    check(
        r#"{"rules": [{"host": "a.example", "action": "allow", "ports": [22], "private": true}, {"host": "b.example", "action": "ask", "private": true}]}"#,
        &["may reach a.example:22, also at private addresses", "may ask for b.example, also at private addresses"],
    );
    check(r#"{"hosts": {"a.example": "192.0.2.1"}}"#, &["takes 192.0.2.1 for a.example"]);
    check(r#"{"default": "allow"}"#, &["may reach every host that no rule denies"]);
    check(
        r#"{"limits": {"connections": 2000, "connectionsPerSecond": 500}, "holdSeconds": 300}"#,
        &[
            "lets connections wait 300 seconds for an answer",
            "opens up to 2000 connections at a time",
            "opens up to 500 connections a second",
        ],
    );
    assert_eq!(config::widens(&layer(r#"{"network": "none", "maskedPaths": [".env"]}"#)), Vec::<String>::new());
    assert_eq!(config::widens(&layer(r#"{"network": "open"}"#)).len(), 1);
}

#[test]
fn what_a_project_asks_for_is_shown_in_letters_that_cannot_be_mistaken() {
    let project = r#"{"maskedPaths": ["!k\u0435ys\u202e"], "egress": {
        "allow": ["g\u0456thub.com"],
        "hosts": {"\u0430pple.com": "192.0.2.1"},
        "rules": [{"host": "a.example", "action": "allow", "paths": ["/\u202ex"]}]
    }}"#;
    let told = config::widens(&layer(project)).join("; ");
    assert!(told.is_ascii(), "{told}");
    for part in ["xn--gthub-n2e.com", "takes 192.0.2.1 for xn--pple-43d.com", "\\u{202e}x"] {
        assert!(told.contains(part), "{part} in {told}");
    }
}
