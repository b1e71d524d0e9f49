//! What a project's settings may open while they await approval: no more than they open, and no more than the settings
//! that were approved before them. What they close needs no approval and counts at once.

use core::net::IpAddr;
use std::collections::{BTreeMap, HashSet};

use boxwood_protocol::egress::{EgressAction, EgressConfig, EgressLimits, EgressRule};

use super::pattern::Pattern;
use super::policy::{
    DEFAULT_CONNECTIONS, DEFAULT_CONNECTIONS_PER_SECOND, DEFAULT_HOLD_SECONDS, fewest, least, rule_for,
};
use super::presets::ALWAYS;
use super::rule::{WEB_PORTS, rule_text};

/// The settings that count while `wishes` await approval and `approved` is what was approved last. As far as these
/// settings decide, nothing passes that would not pass with `approved` and with `wishes` alike.
///
/// What allows counts where both have it; what denies or asks, where either has it. So a denial that is taken out of a
/// file stays until that is approved: whoever approved the rest approved it together with the denial.
#[must_use]
pub fn narrowed(approved: &EgressConfig, wishes: &EgressConfig) -> EgressConfig {
    EgressConfig {
        presets: in_both(approved.presets.as_ref(), wishes.presets.as_ref()),
        allow: None,
        deny: None,
        rules: some(rules(&normal_rules(approved), &normal_rules(wishes))),
        hosts: hosts(approved, wishes),
        default: default(approved.default, wishes.default),
        hold_seconds: bound(wishes.hold_seconds, approved.hold_seconds, DEFAULT_HOLD_SECONDS),
        limits: limits(approved, wishes),
    }
}

/// A rule in the one form in which it is compared, with the hosts that it is about.
struct Normal {
    rule: EgressRule,
    pattern: Pattern,
}

impl Normal {
    /// Nothing for a rule about no host.
    fn of(rule: &EgressRule) -> Option<Self> {
        let pattern = Pattern::parse(&rule.host).ok()?;
        let is_usual = |ports: &Vec<u16>| rule.action == EgressAction::Allow && *ports == WEB_PORTS;
        let upper = |methods: &Vec<String>| methods.iter().map(|method| method.to_ascii_uppercase()).collect();
        let rule = EgressRule {
            host: pattern.to_string(),
            ports: rule.ports.clone().map(in_order).filter(|ports| !is_usual(ports)),
            action: rule.action,
            methods: rule.methods.as_ref().map(upper).map(in_order),
            paths: rule.paths.clone().map(in_order),
            private: rule.private.filter(|private| *private != pattern.is_private()),
            inspect: rule.inspect.filter(|inspect| *inspect),
        };
        Some(Self { rule, pattern })
    }

    fn is_private(&self) -> bool {
        self.rule.private.unwrap_or_else(|| self.pattern.is_private())
    }

    fn opens_tls(&self) -> bool {
        self.rule.inspect.is_some() || self.rule.methods.is_some() || self.rule.paths.is_some()
    }

    /// The rule, no wider than those that stood before it for some of its hosts and no longer count.
    fn without(&self, gone: &[&Self]) -> EgressRule {
        let meets = |other: &&&Self| meet(&self.pattern, &other.pattern);
        let mut rule = self.rule.clone();
        if self.is_private() && gone.iter().filter(meets).any(|other| !other.is_private()) {
            rule.private = Some(false);
        }
        if gone.iter().filter(meets).any(|other| other.opens_tls()) {
            rule.inspect = Some(true);
        }
        rule
    }
}

/// Whether two patterns have a host in common.
fn meet(a: &Pattern, b: &Pattern) -> bool {
    let is_below = |name: &str, other: &str| name.strip_suffix(other).is_some_and(|front| front.ends_with('.'));
    match (a, b) {
        (Pattern::Any, _) | (_, Pattern::Any) => true,
        (Pattern::Exact(host), other) | (other, Pattern::Exact(host)) => other.matches(host),
        (Pattern::Below(a), Pattern::Below(b)) => a == b || is_below(a, b) || is_below(b, a),
        (Pattern::Block(a), Pattern::Block(b)) => a.contains(b.network()) || b.contains(a.network()),
        (Pattern::Below(_), Pattern::Block(_)) | (Pattern::Block(_), Pattern::Below(_)) => false,
    }
}

/// Every rule of a layer, those of the short lists too. One that allows and cannot be read is left out; one that refuses
/// stays as it is, so that whoever makes the policy names it.
fn normal_rules(config: &EgressConfig) -> Vec<Normal> {
    let lists = [(&config.allow, EgressAction::Allow), (&config.deny, EgressAction::Deny)];
    let short = lists.into_iter().flat_map(|(list, action)| {
        list.iter().flatten().map(move |text| {
            rule_for(text, action).unwrap_or_else(|_| EgressRule {
                host: text.clone(),
                ports: None,
                action,
                methods: None,
                paths: None,
                private: None,
                inspect: None,
            })
        })
    });
    let unread =
        |rule: EgressRule| (rule.action != EgressAction::Allow).then_some(Normal { rule, pattern: Pattern::Any });
    config
        .rules
        .iter()
        .flatten()
        .cloned()
        .chain(short)
        .filter_map(|rule| Normal::of(&rule).or_else(|| unread(rule)))
        .collect()
}

fn rules(approved: &[Normal], wishes: &[Normal]) -> Vec<EgressRule> {
    let set = |list: &[Normal]| list.iter().map(|one| one.rule.clone()).collect::<HashSet<_>>();
    let (in_approved, in_wishes) = (set(approved), set(wishes));
    let is_in_both = |one: &Normal| in_approved.contains(&one.rule) && in_wishes.contains(&one.rule);
    let all = || approved.iter().chain(wishes);
    let gone: Vec<&Normal> = all().filter(|one| one.rule.action == EgressAction::Allow && !is_in_both(one)).collect();
    let counts = |one: &Normal| match one.rule.action {
        EgressAction::Deny => Some(one.rule.clone()),
        _ if is_in_both(one) => Some(one.without(&gone)),
        // A question lets nothing through by itself; that its answer may lead to private addresses has to be approved.
        EgressAction::Ask => {
            Some(EgressRule { private: one.rule.private.filter(|private| !private), ..one.rule.clone() })
        }
        EgressAction::Allow => None,
    };
    let mut seen = HashSet::new();
    let mut rules: Vec<_> = all().filter_map(counts).filter(|rule| seen.insert(rule.clone())).collect();
    rules.sort_by_cached_key(|rule| (rule.action, rule_text(rule), rule.private, rule.inspect));
    rules
}

fn hosts(approved: &EgressConfig, wishes: &EgressConfig) -> Option<BTreeMap<String, IpAddr>> {
    let (approved, wishes) = (approved.hosts.as_ref()?, wishes.hosts.as_ref()?);
    let both = wishes.iter().filter(|(name, address)| approved.get(*name) == Some(address));
    let both: BTreeMap<_, _> = both.map(|(name, address)| (name.clone(), *address)).collect();
    (!both.is_empty()).then_some(both)
}

/// Of two the stricter one; that everything is allowed has to be said by both.
fn default(approved: Option<EgressAction>, wishes: Option<EgressAction>) -> Option<EgressAction> {
    if approved == wishes {
        return approved;
    }
    [approved, wishes].into_iter().flatten().filter(|action| *action != EgressAction::Allow).max()
}

/// The smaller of two numbers, where one that is left out is `usual` or what the person's own file says.
fn bound(a: Option<u32>, b: Option<u32>, usual: u32) -> Option<u32> {
    match (a, b) {
        (Some(_), Some(_)) | (None, None) => least(a, b),
        (one, other) => one.or(other).map(|number| number.min(usual)),
    }
}

fn limits(approved: &EgressConfig, wishes: &EgressConfig) -> Option<EgressLimits> {
    let [approved, wishes] = [approved, wishes].map(|config| config.limits.clone().unwrap_or_default());
    let limits = EgressLimits {
        connections: bound(wishes.connections, approved.connections, DEFAULT_CONNECTIONS),
        connections_per_second: bound(
            wishes.connections_per_second,
            approved.connections_per_second,
            DEFAULT_CONNECTIONS_PER_SECOND,
        ),
        upload: fewest(wishes.upload.as_ref(), approved.upload.as_ref()),
        upload_per_second: fewest(wishes.upload_per_second.as_ref(), approved.upload_per_second.as_ref()),
    };
    (limits != EgressLimits::default()).then_some(limits)
}

fn in_both(a: Option<&Vec<String>>, b: Option<&Vec<String>>) -> Option<Vec<String>> {
    let (a, b) = (a?, b?);
    some(in_order(b.iter().filter(|name| *name != ALWAYS && a.contains(name)).cloned().collect()))
}

fn in_order<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use boxwood_protocol::egress::EgressLayer;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::egress::properties::config_of_tests;
    use crate::egress::{Compiled, Decided, EgressLayers, Host, Judged, Query, Requests};

    fn config(text: &str) -> EgressConfig {
        crate::config::parse(&format!(r#"{{"egress": {{{text}}}}}"#)).expect(text).egress.expect("settings")
    }

    /// What counts of `wishes`, as texts: `+` for what is allowed, `?` for what is asked about, `-` for what is denied.
    fn counts(approved: &str, wishes: &str) -> String {
        let rules = narrowed(&config(approved), &config(wishes)).rules.unwrap_or_default();
        let sign = |action| match action {
            EgressAction::Allow => '+',
            EgressAction::Ask => '?',
            EgressAction::Deny => '-',
        };
        rules.iter().map(|rule| format!("{}{}", sign(rule.action), rule_text(rule))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_both_allow_is_allowed_and_what_either_denies_is_denied() {
        let check = |approved: &str, wishes: &str, expected: &str| {
            assert_eq!(counts(approved, wishes), expected, "{approved} | {wishes}");
        };
        check(r#""allow": ["a.example", "b.example"]"#, r#""allow": ["a.example"]"#, "+a.example");
        check(r#""allow": ["a.example"]"#, r#""allow": ["a.example", "b.example"]"#, "+a.example");
        check(
            r#""allow": ["a.example"]"#,
            r#""allow": ["A.example."], "deny": ["c.example"]"#,
            "+a.example -c.example",
        );
        check(r#""allow": ["*.example"], "deny": ["c.example"]"#, r#""allow": ["*.example"]"#, "+*.example -c.example");
        check(
            r#""allow": ["a.example"]"#,
            r#""rules": [{"host": "a.example", "action": "allow", "ports": [443, 80]}]"#,
            "+a.example",
        );
        check(r#""allow": ["a.example:22"]"#, r#""allow": ["a.example"]"#, "");
        check(r#""presets": ["npm"]"#, r#""rules": [{"host": "a.example", "action": "ask"}]"#, "?a.example");
    }

    #[test]
    fn what_else_stands_in_both_counts_and_the_stricter_bound() {
        let check = |approved: &str, wishes: &str, expected: &str| {
            assert_eq!(narrowed(&config(approved), &config(wishes)), config(expected), "{approved} | {wishes}");
        };
        check(
            r#""presets": ["npm", "github"]"#,
            r#""presets": ["github", "pypi", "claude"]"#,
            r#""presets": ["github"]"#,
        );
        check(
            r#""hosts": {"a.example": "192.0.2.1", "b.example": "192.0.2.2"}"#,
            r#""hosts": {"a.example": "192.0.2.1", "b.example": "192.0.2.3"}"#,
            r#""hosts": {"a.example": "192.0.2.1"}"#,
        );
        check(r#""default": "allow""#, r#""default": "allow""#, r#""default": "allow""#);
        check(r#""default": "allow""#, "", "");
        check("", r#""default": "allow""#, "");
        check(r#""default": "ask""#, r#""default": "deny""#, r#""default": "deny""#);
        check(r#""default": "deny""#, r#""default": "allow""#, r#""default": "deny""#);
        check(r#""holdSeconds": 30"#, r#""holdSeconds": 600"#, r#""holdSeconds": 30"#);
        check("", r#""holdSeconds": 600"#, r#""holdSeconds": 60"#);
        check(
            r#""limits": {"connections": 4000, "upload": "1g"}"#,
            r#""limits": {"connections": 8, "uploadPerSecond": "1m"}"#,
            r#""limits": {"connections": 8, "upload": "1g", "uploadPerSecond": "1m"}"#,
        );
    }

    #[test]
    fn a_rule_that_is_gone_leaves_no_wider_one_in_its_place() {
        let wide = r#"{"host": "*.lan.example", "action": "allow", "private": true}"#;
        let approved = config(&format!(r#""rules": [{wide}], "allow": ["web.lan.example", "other.example"]"#));
        let kept = narrowed(&approved, &config(&format!(r#""rules": [{wide}]"#))).rules.expect("a rule");
        assert_eq!(kept[0].private, Some(false));
        let approved = config(&format!(r#""rules": [{wide}], "allow": ["other.example"]"#));
        let kept = narrowed(&approved, &config(&format!(r#""rules": [{wide}]"#))).rules.expect("a rule");
        assert_eq!(kept[0].private, Some(true));
    }

    const PATTERNS: [&str; 8] =
        ["*", "*.example", "*.b.example", "a.b.example", "c.test", "192.0.2.0/24", "10.0.0.0/8", "10.0.0.1"];
    const HOSTS: [&str; 6] = ["a.b.example", "x.a.b.example", "c.test", "192.0.2.7", "10.0.0.1", "10.9.9.9"];
    const PORTS: [u16; 3] = [22, 80, 443];

    fn action() -> impl Strategy<Value = EgressAction> {
        select(vec![EgressAction::Allow, EgressAction::Allow, EgressAction::Ask, EgressAction::Deny])
    }

    fn rule() -> impl Strategy<Value = EgressRule> {
        let some = |text: &'static str| prop::option::weighted(0.2, Just(vec![text.to_owned()]));
        let flag = || prop::option::weighted(0.3, any::<bool>());
        let ports = prop::option::weighted(0.4, prop::sample::subsequence(PORTS.to_vec(), 1..=3));
        (select(PATTERNS.to_vec()), ports, action(), some("GET"), some("/v1/*"), flag(), flag()).prop_map(
            |(host, ports, action, methods, paths, private, inspect)| EgressRule {
                host: host.to_owned(),
                ports,
                action,
                methods,
                paths,
                private,
                inspect,
            },
        )
    }

    fn bits() -> impl Strategy<Value = Vec<bool>> {
        prop::collection::vec(prop::bool::weighted(0.7), 8)
    }

    /// Two versions of a file: most rules stand in both.
    fn versions() -> impl Strategy<Value = (EgressConfig, EgressConfig)> {
        let default = || prop::option::of(action());
        (prop::collection::vec(rule(), 0..8), bits(), bits(), default(), default()).prop_map(|(rules, a, b, x, y)| {
            let version = |bits: Vec<bool>, default| {
                let rules = rules.iter().zip(bits).filter(|(_, stays)| *stays).map(|(rule, _)| rule.clone());
                EgressConfig { rules: some(rules.collect()), default, ..EgressConfig::default() }
            };
            (version(a, x), version(b, y))
        })
    }

    fn judge(project: &EgressConfig, host: &Host, port: u16, requests: Requests<'_>) -> Judged {
        let layers = EgressLayers { project: project.clone(), ..EgressLayers::default() };
        let policy = layers.policy(&Decided::default()).expect("valid");
        Compiled::new(&policy).expect("valid").judge(&Query { host, port, requests, now_ms: 0 })
    }

    proptest! {
        #![proptest_config(config_of_tests())]

        #[test]
        fn nothing_passes_that_either_would_not_let_pass(
            (approved, wishes) in versions(),
            host in select(HOSTS.to_vec()),
            port in select(PORTS.to_vec()),
            requests in select(vec![
                Requests::Later,
                Requests::Never,
                Requests::This { method: "GET", path: "/v1/x" },
                Requests::This { method: "POST", path: "/" },
            ]),
        ) {
            let host = Host::parse(host).expect("a host");
            let now = judge(&narrowed(&approved, &wishes), &host, port, requests);
            for side in [&approved, &wishes] {
                let then = judge(side, &host, port, requests);
                if now.action == EgressAction::Allow {
                    prop_assert_eq!(then.action, EgressAction::Allow);
                    // Before there is a request nobody can say where it may lead.
                    let leads_no_further = requests == Requests::Later || then.private || !now.private;
                    prop_assert!(leads_no_further, "{:?} leads further than {:?}", now, then);
                    let is_looked_into = now.opens_tls || !then.opens_tls || now.layer != EgressLayer::Project;
                    prop_assert!(is_looked_into, "{:?} is not looked into as {:?} is", now, then);
                }
            }
        }

        #[test]
        fn what_is_approved_counts_as_it_stands(
            (config, _) in versions(),
            host in select(HOSTS.to_vec()),
            port in select(PORTS.to_vec()),
        ) {
            let host = Host::parse(host).expect("a host");
            let (now, then) = (narrowed(&config, &config), &config);
            for requests in [Requests::Later, Requests::Never] {
                let said = |config: &EgressConfig| {
                    let judged = judge(config, &host, port, requests);
                    (judged.action, judged.layer, judged.opens_tls, judged.private)
                };
                prop_assert_eq!(said(&now), said(then));
            }
        }
    }
}
