//! What the person decided, rule by rule: which ports a decision is about, and what is left of it beside a newer one.

use boxwood_core::egress::Target;
use boxwood_core::egress::rule::WEB_PORTS;
use boxwood_protocol::egress::{EgressAction, EgressRule};

/// The ports that a rule is about; nothing for every port.
pub(super) fn ports(rule: &EgressRule) -> Option<&[u16]> {
    match (&rule.ports, rule.action) {
        (Some(ports), _) => Some(ports),
        (None, EgressAction::Allow) => Some(&WEB_PORTS),
        (None, EgressAction::Ask | EgressAction::Deny) => None,
    }
}

/// The ports that are allowed by an answer about a host without a port, while connections to these ports of it wait.
/// Who names no port means the web, and another port only where nothing else can be meant.
pub(super) fn meant(mut waiting: Vec<u16>) -> Option<Vec<u16>> {
    waiting.sort_unstable();
    waiting.dedup();
    (!waiting.is_empty() && waiting.iter().all(|port| !WEB_PORTS.contains(port))).then_some(waiting)
}

/// Whether a decision is about the host that is named, and about the port of it that is named, if one is.
pub(super) fn is_about(rule: &EgressRule, target: &Target) -> bool {
    let is_port = |port| ports(rule).is_none_or(|ports| ports.contains(&port));
    rule.host == target.pattern.to_string() && target.port.is_none_or(is_port)
}

/// Takes out of a decision what a newer one decides anew. False when nothing of it is left.
pub(super) fn stays(kept: &mut EgressRule, newer: &EgressRule) -> bool {
    if kept.host != newer.host {
        return true;
    }
    let Some(newer_ports) = ports(newer) else { return false };
    let is_alike = (kept.action, kept.private, kept.inspect) == (newer.action, newer.private, newer.inspect);
    // All ports but these cannot be said; a refusal that stayed whole would outweigh the newer answer.
    let Some(kept_ports) = ports(kept) else { return is_alike };
    let left: Vec<u16> = kept_ports.iter().copied().filter(|port| !newer_ports.contains(port)).collect();
    let stays = !left.is_empty();
    if !is_alike && left.len() < kept_ports.len() {
        kept.ports = Some(left);
    }
    stays
}

#[cfg(test)]
mod tests {
    use boxwood_core::egress::policy::rule_for;
    use boxwood_core::egress::rule_text;

    use super::*;

    /// `+host` or `-host` with ports, as `+a.example:22,443`.
    fn rule(text: &str) -> EgressRule {
        let (sign, text) = text.split_at(1);
        let (host, ports) = text.split_once(':').map_or((text, None), |(host, ports)| (host, Some(ports)));
        let action = if sign == "+" { EgressAction::Allow } else { EgressAction::Deny };
        let ports = ports.map(|ports| ports.split(',').map(|port| port.parse().expect("a port")).collect());
        EgressRule { ports, ..rule_for(host, action).expect("a host") }
    }

    #[test]
    fn a_newer_decision_takes_the_place_of_what_it_decides_and_of_nothing_else() {
        let check = |kept: &str, newer: &str, left: Option<&str>| {
            let mut rule_kept = rule(kept);
            let stays = stays(&mut rule_kept, &rule(newer));
            assert_eq!(stays.then(|| rule_text(&rule_kept)).as_deref(), left, "{kept} {newer}");
        };
        check("+a.example", "+b.example", Some("a.example"));
        check("+a.example", "+a.example", None);
        check("+a.example:22", "+a.example", Some("a.example:22"));
        check("+a.example", "+a.example:22", Some("a.example"));
        check("+a.example:80", "+a.example", None);
        check("+a.example", "+a.example:443", Some("a.example"));
        check("+a.example", "-a.example:22", Some("a.example"));
        check("+a.example", "-a.example:80", Some("a.example:443"));
        check("+a.example:22,443", "-a.example:443", Some("a.example:22"));
        check("+a.example:22", "-a.example", None);
        check("-a.example", "+a.example", None);
        check("-a.example", "-a.example:22", Some("a.example"));
        check("-a.example", "+a.example:22", None);
        check("-a.example:22", "+a.example", Some("a.example:22"));
        check("-a.example:22", "+a.example:22", None);
    }

    #[test]
    fn two_that_allow_differently_do_not_stand_for_the_same_port() {
        let mut kept = EgressRule { private: Some(true), ..rule("+a.example") };
        assert!(stays(&mut kept, &rule("+a.example:443")));
        assert_eq!((kept.ports, kept.private), (Some(vec![80]), Some(true)));
    }

    #[test]
    fn who_names_no_port_means_the_web_unless_only_others_wait() {
        assert_eq!(meant(vec![]), None);
        assert_eq!(meant(vec![443]), None);
        assert_eq!(meant(vec![22, 443]), None);
        assert_eq!(meant(vec![5432, 22, 22]), Some(vec![22, 5432]));
    }

    #[test]
    fn a_decision_is_named_by_its_host_or_by_one_of_its_ports() {
        let check = |kept: &str, named: &str, expected: bool| {
            assert_eq!(is_about(&rule(kept), &Target::parse(named).expect("a host")), expected, "{kept} {named}");
        };
        check("+a.example", "a.example", true);
        check("+a.example", "A.example.:443", true);
        check("+a.example", "a.example:22", false);
        check("+a.example:22", "a.example", true);
        check("-a.example", "a.example:22", true);
        check("+a.example", "b.example", false);
        check("+*.example", "a.example", false);
    }
}
