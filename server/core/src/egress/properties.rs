//! What holds of every policy, against an evaluation that is written another way: all rules, one by one, no index.

use core::net::IpAddr;

use boxwood_protocol::config::{ConfigSource, SandboxConfig};
use boxwood_protocol::egress::{EgressAction, EgressConfig, EgressLayer, EgressPolicy, EgressRule, PlacedRule};
use proptest::prelude::*;

use super::path;
use super::{Compiled, Decided, EgressLayers, Host, Judged, Query, Requests};

const LAYERS: [EgressLayer; 8] = [
    EgressLayer::BuiltIn,
    EgressLayer::Session,
    EgressLayer::Remembered,
    EgressLayer::UserDeny,
    EgressLayer::Request,
    EgressLayer::Project,
    EgressLayer::User,
    EgressLayer::Preset,
];
/// Small worlds, so that rules meet.
const PATTERNS: [&str; 12] = [
    "*",
    "*.example",
    "*.b.example",
    "a.b.example",
    "b.example",
    "c.test",
    "0.0.0.0/0",
    "192.0.2.0/24",
    "192.0.2.7",
    "10.0.0.0/8",
    "10.0.0.1",
    "fd00::/8",
];
const HOSTS: [&str; 10] = [
    "a.b.example",
    "b.example",
    "x.a.b.example",
    "example",
    "c.test",
    "192.0.2.7",
    "192.0.2.8",
    "10.0.0.1",
    "10.9.9.9",
    "fd00::1",
];
const PORTS: [u16; 4] = [22, 80, 443, 8443];
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a/../b", "//b", "/a%2fb", "/b?q=/a"];
const PATH_PATTERNS: [&str; 5] = ["*", "/a", "/a/*", "/b*", "/%61"];

fn action() -> impl Strategy<Value = EgressAction> {
    prop::sample::select(vec![EgressAction::Allow, EgressAction::Ask, EgressAction::Deny])
}

fn some_of<T: Clone + std::fmt::Debug + 'static>(list: &[T]) -> impl Strategy<Value = Option<Vec<T>>> + use<T> {
    prop::option::weighted(0.4, prop::sample::subsequence(list.to_vec(), 1..=list.len()))
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn rule() -> impl Strategy<Value = EgressRule> {
    (
        prop::sample::select(texts(&PATTERNS)),
        some_of(&PORTS),
        action(),
        some_of(&texts(&METHODS)),
        some_of(&texts(&PATH_PATTERNS)),
        prop::option::weighted(0.2, any::<bool>()),
        prop::option::weighted(0.2, any::<bool>()),
    )
        .prop_map(|(host, ports, action, methods, paths, private, inspect)| EgressRule {
            host,
            ports,
            action,
            methods,
            paths,
            private,
            inspect,
        })
}

fn placed() -> impl Strategy<Value = PlacedRule> {
    (prop::sample::select(LAYERS.to_vec()), rule()).prop_map(|(layer, rule)| PlacedRule { layer, preset: None, rule })
}

fn policy() -> impl Strategy<Value = EgressPolicy> {
    (prop::collection::vec(placed(), 0..12), action(), prop::bool::weighted(0.2)).prop_map(
        |(rules, default, bypass)| EgressPolicy {
            rules,
            default,
            hold_seconds: 60,
            connections: 1024,
            connections_per_second: 200,
            upload_bytes: 0,
            upload_bytes_per_second: 0,
            bypass_until_ms: u64::from(bypass),
        },
    )
}

fn requests() -> impl Strategy<Value = Requests<'static>> {
    prop_oneof![
        Just(Requests::Later),
        Just(Requests::Never),
        (prop::sample::select(METHODS.to_vec()), prop::sample::select(PATHS.to_vec()))
            .prop_map(|(method, path)| Requests::This { method, path }),
    ]
}

fn query() -> impl Strategy<Value = (Host, u16, Requests<'static>)> {
    (prop::sample::select(HOSTS.to_vec()), prop::sample::select(PORTS.to_vec()), requests())
        .prop_map(|(host, port, requests)| (Host::parse(host).expect(host), port, requests))
}

fn judge(policy: &EgressPolicy, (host, port, requests): &(Host, u16, Requests<'_>)) -> Judged {
    let compiled = Compiled::new(policy).expect("valid rules");
    compiled.judge(&Query { host, port: *port, requests: *requests, now_ms: 0 })
}

/// How close a rule's host is, or nothing when it is another: (bits or labels that are given, whether it is exact).
fn closeness(pattern: &str, host: &Host) -> Option<usize> {
    match host {
        _ if pattern == "*" => Some(0),
        Host::Name(name) if pattern == name => Some(1000),
        Host::Name(name) => {
            let dotted = pattern.strip_prefix('*')?;
            name.ends_with(dotted).then(|| dotted.matches('.').count())
        }
        Host::Address(address) => {
            let (network, length) = pattern.split_once('/').unwrap_or((pattern, "128"));
            let length: u32 = length.parse().ok()?;
            let network: IpAddr = network.parse().ok()?;
            let (a, b, bits) = match (network, *address) {
                (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
                (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
                _ => return None,
            };
            let length = length.min(bits);
            let same = length == 0 || (a ^ b) >> (bits - length) == 0;
            same.then(|| if length == bits { 1000 } else { 1 + length as usize })
        }
    }
}

/// Whether a rule is about a path of this small world, told from a table of what each means.
fn is_about(pattern: &str, path: &str) -> Option<bool> {
    let real = match path {
        "/a%2fb" => return None,
        "/a/../b" | "//b" | "/b?q=/a" => "/b",
        path => path,
    };
    Some(match pattern {
        "*" => true,
        "/a" | "/%61" => real == "/a",
        "/a/*" => real == "/a/b",
        "/b*" => real == "/b",
        other => panic!("{other} is not of this world"),
    })
}

/// The verdict by going through all rules: who decides is found by comparing every two.
fn naive(policy: &EgressPolicy, host: &Host, port: u16, (method, path): (&str, &str)) -> (EgressAction, EgressLayer) {
    let bypassed = policy.bypass_until_ms > 0;
    let mut winner: Option<(&PlacedRule, usize)> = None;
    for placed in &policy.rules {
        let rule = &placed.rule;
        let Some(close) = closeness(&rule.host, host) else { continue };
        let port_fits = match &rule.ports {
            Some(ports) => ports.contains(&port),
            None => rule.action != EgressAction::Allow || port == 80 || port == 443,
        };
        let has_detail = |rule: &EgressRule| rule.methods.is_some() || rule.paths.is_some();
        let fits = {
            let method_fits = rule.methods.as_ref().is_none_or(|list| list.iter().any(|one| one == method));
            let path_fits = rule.paths.as_ref().is_none_or(|list| {
                list.iter().any(|one| is_about(one, path).unwrap_or(rule.action == EgressAction::Deny))
            });
            method_fits && path_fits
        };
        if !port_fits || !fits || (bypassed && placed.layer > EgressLayer::Bypass) {
            continue;
        }
        let beats = winner.is_none_or(|(other, others)| {
            if placed.layer != other.layer {
                placed.layer < other.layer
            } else if close != others {
                close > others
            } else if has_detail(rule) != has_detail(&other.rule) {
                has_detail(rule)
            } else {
                rule.action > other.rule.action
            }
        });
        if beats {
            winner = Some((placed, close));
        }
    }
    match winner {
        Some((placed, _)) => (placed.rule.action, placed.layer),
        None if bypassed => (EgressAction::Allow, EgressLayer::Bypass),
        None => (policy.default, EgressLayer::Default),
    }
}

fn every_request(host: &Host, port: u16) -> Vec<(Host, u16, Requests<'static>)> {
    METHODS
        .into_iter()
        .flat_map(|method| PATHS.into_iter().map(move |path| Requests::This { method, path }))
        .map(|requests| (host.clone(), port, requests))
        .collect()
}

fn config(rules: Vec<EgressRule>) -> SandboxConfig {
    let egress = EgressConfig { rules: Some(rules), ..EgressConfig::default() };
    SandboxConfig { egress: Some(egress), ..SandboxConfig::default() }
}

/// More than usual, as one is soon done; still more on request, by the library's own variable.
pub(super) fn config_of_tests() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1024), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config_of_tests())]

    #[test]
    fn the_verdict_is_that_of_the_naive_evaluation(policy in policy(), query in query()) {
        let (host, port, requests) = &query;
        if let Requests::This { method, path } = requests {
            let judged = judge(&policy, &query);
            let expected = naive(&policy, host, *port, (method, path));
            // A private address that no rule names is refused above all rules; that is checked on its own below.
            if judged.reason.is_none() {
                prop_assert_eq!((judged.action, judged.layer), expected);
            } else {
                prop_assert!(host.address().is_some_and(super::is_private));
            }
        }
    }

    #[test]
    fn the_order_of_rules_does_not_matter(
        (policy, shuffled) in policy().prop_flat_map(|policy| (Just(policy.clone()), Just(policy.rules).prop_shuffle())),
        query in query(),
    ) {
        let other = EgressPolicy { rules: shuffled, ..policy.clone() };
        let (a, b) = (judge(&policy, &query), judge(&other, &query));
        prop_assert_eq!(a.rule.map(|index| &policy.rules[index]), b.rule.map(|index| &other.rules[index]));
        prop_assert_eq!(Judged { rule: None, ..a }, Judged { rule: None, ..b });
        prop_assert_eq!(a, judge(&policy, &query), "the same again");
    }

    #[test]
    fn one_more_refusal_never_allows_more(policy in policy(), mut extra in placed(), at in any::<prop::sample::Index>(), query in query()) {
        extra.rule.action = EgressAction::Deny;
        let mut stricter = policy.clone();
        stricter.rules.insert(at.index(policy.rules.len() + 1), extra);
        prop_assert!(judge(&stricter, &query).action >= judge(&policy, &query).action);
    }

    #[test]
    fn a_connection_is_refused_only_when_each_of_its_requests_is(policy in policy(), query in query()) {
        let (host, port, _) = query;
        let later = judge(&policy, &(host.clone(), port, Requests::Later));
        let never = judge(&policy, &(host.clone(), port, Requests::Never));
        for request in every_request(&host, port) {
            let judged = judge(&policy, &request);
            prop_assert!(later.action <= judged.action, "{:?} would pass", request);
            prop_assert!(never.action >= judged.action, "{:?} would not pass, but nobody looks", request);
            prop_assert!(later.opens_tls || judged.action == later.action, "{:?} needs a look", request);
        }
    }

    #[test]
    fn a_name_is_resolved_when_some_port_may_be_reached(policy in policy(), query in query()) {
        let compiled = Compiled::new(&policy).expect("valid rules");
        let best = PORTS.into_iter().chain([9]).map(|port| {
            compiled.judge(&Query { host: &query.0, port, requests: Requests::Later, now_ms: 0 }).action
        }).min().expect("ports");
        prop_assert_eq!(compiled.may_resolve(&query.0, 0), best);
    }

    #[test]
    fn nothing_below_lifts_what_the_persons_file_denies(
        denied in rule(),
        user in prop::collection::vec(rule(), 0..4),
        project in prop::collection::vec(rule(), 0..6),
        request in prop::collection::vec(rule(), 0..4),
        query in query(),
    ) {
        let denied = EgressRule { action: EgressAction::Deny, methods: None, paths: None, ..denied };
        let (host, port, _) = &query;
        let is_meant = closeness(&denied.host, host).is_some()
            && denied.ports.as_ref().is_none_or(|ports| ports.contains(port));
        let user = user.into_iter().chain([denied]).collect();
        let layers = [
            (ConfigSource::User, config(user)),
            (ConfigSource::Project, config(project)),
            (ConfigSource::Request, config(request)),
        ];
        let policy = EgressLayers::of(&layers).policy(&Decided::default()).expect("valid");
        if is_meant {
            prop_assert_eq!(judge(&policy, &query).action, EgressAction::Deny);
        }
    }

    #[test]
    fn private_addresses_pass_only_where_a_rule_names_them(policy in policy(), query in query()) {
        let judged = judge(&policy, &query);
        let is_private = query.0.address().is_some_and(super::is_private);
        if is_private && judged.action != EgressAction::Deny {
            let rule = &policy.rules[judged.rule.expect("a rule")].rule;
            prop_assert!(judged.private);
            prop_assert!(rule.private == Some(true) || rule.host.starts_with("10.") || rule.host.starts_with("fd"));
        }
    }

    #[test]
    fn no_text_is_read_in_two_ways(text in prop_oneof![".*", "[a-zA-Z0-9.:%_xX*/\\[\\]-]{0,40}", "[0-9xXa-f.]{1,20}", "(xn--)?[a-zü。.]{1,12}"]) {
        if let Ok(host) = Host::parse(&text) {
            let again = host.to_string();
            prop_assert_eq!(Host::parse(&again), Ok(host.clone()));
            if let Host::Name(name) = &host {
                let dotted = format!("{name}.");
                prop_assert_eq!(Host::parse(&dotted), Ok(host.clone()));
                prop_assert_eq!(Host::parse(&name.to_ascii_uppercase()), Ok(host.clone()));
                prop_assert!(name.len() <= 253 && name.is_ascii() && !name.contains(|c: char| c.is_ascii_uppercase()));
                prop_assert!(name.parse::<IpAddr>().is_err());
            }
            if let Host::Address(address) = host {
                prop_assert_eq!(address, address.to_canonical());
            }
        }
    }

    #[test]
    fn every_target_is_written_as_it_is_read(text in prop_oneof![".{0,30}", "(\\*\\.)?[a-z.]{1,9}(:[0-9]{1,5})?", "[0-9a-f:.]{2,12}/[0-9]{1,3}(:[0-9]{1,5})?"]) {
        if let Ok(target) = super::Target::parse(&text) {
            prop_assert_eq!(super::Target::parse(&target.to_string()), Ok(target));
        }
    }

    #[test]
    fn a_normal_path_is_its_own_normal_form(text in prop_oneof![".*", "(/|\\.|%2e|%61|%2f|a|;|~|%C3|%25){0,12}"]) {
        if let Some(normal) = path::normal(&text) {
            prop_assert_eq!(path::normal(&normal), Some(normal.clone()));
            prop_assert!(normal.starts_with('/') && !normal.contains("//"));
            prop_assert!(normal.split('/').all(|part| part != "." && part != ".."));
        }
    }
}
