//! What names are answered with: out of the policy, and logged when it refuses them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use boxwood_core::egress::{Host, Query, Requests};
use boxwood_protocol::egress::{EgressAction, EgressVia};
use boxwood_protocol::gateway::OWN_NAME;

use crate::dns::{Found, Zone};
use crate::log::Entry;
use crate::state::{State, now_ms};

/// The state as the server for names sees it.
#[derive(Clone)]
pub struct Names(pub Arc<State>);

impl Zone for Names {
    fn look_up(&self, host: &Host, wants_address: bool) -> Found {
        let state = &self.0;
        if host.name() == Some(OWN_NAME) {
            return Found::Address(state.place.address);
        }
        let Some(in_force) = state.in_force() else {
            state.refuse_text(&host.to_string(), 0, EgressVia::Dns, "no-policy");
            return Found::Refused;
        };
        let now_ms = now_ms();
        if in_force.policy.may_resolve(host, now_ms) == EgressAction::Deny {
            // Of the rules that refuse it on each port, the one for the web says best why.
            let query = Query { host, port: 443, requests: Requests::Later, now_ms };
            let judged = in_force.policy.judge(&query);
            let mut entry = Entry::of(host, 0, EgressVia::Dns, EgressAction::Deny, &judged);
            entry.rule = in_force.policy.rule_text(&judged);
            state.record(entry, judged.rule);
            return Found::Refused;
        }
        if !wants_address {
            return Found::Address(Ipv4Addr::UNSPECIFIED);
        }
        match host.name().and_then(|name| state.addresses.of_name(name, Instant::now())) {
            Some(address) => Found::Address(address),
            None => Found::Full,
        }
    }

    fn name_of(&self, address: Ipv4Addr) -> Option<Arc<str>> {
        self.0.addresses.name_of(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::Real;
    use crate::state::Place;
    use boxwood_protocol::egress::{EgressLayer, EgressPolicy, EgressRule, PlacedRule};
    use boxwood_protocol::gateway::Configure;

    fn rule(host: &str, port: u16, action: EgressAction) -> PlacedRule {
        let rule = EgressRule {
            host: host.to_owned(),
            ports: Some(vec![port]),
            action,
            methods: None,
            paths: None,
            private: None,
            inspect: None,
        };
        PlacedRule { layer: EgressLayer::User, preset: None, rule }
    }

    fn empty() -> Names {
        let place = Place {
            subnet: "198.18.4.0/22".parse().expect("a subnet"),
            address: Ipv4Addr::new(198, 18, 4, 2),
            redirected: None,
        };
        Names(State::new(place, Arc::new(Real::default())))
    }

    fn names(default: EgressAction) -> Names {
        let policy = EgressPolicy {
            rules: vec![
                rule("allowed.example", 22, EgressAction::Allow),
                rule("denied.example", 443, EgressAction::Deny),
            ],
            default,
            hold_seconds: 60,
            connections: 10,
            connections_per_second: 10,
            upload_bytes: 0,
            upload_bytes_per_second: 0,
            bypass_until_ms: 0,
        };
        let configure = Configure::new(1, policy);
        let names = empty();
        names.0.configure(&configure).expect("a policy");
        names
    }

    fn look_up(names: &Names, name: &str) -> Found {
        names.look_up(&Host::parse(name).expect("a host"), true)
    }

    #[test]
    fn names_that_some_port_lets_through_have_an_address_with_their_name() {
        let names = names(EgressAction::Deny);
        let Found::Address(address) = look_up(&names, "allowed.example") else { panic!("no address") };
        assert!(names.0.place.subnet.is_own(address));
        assert_eq!(names.name_of(address).as_deref(), Some("allowed.example"));
        assert_eq!(look_up(&names, "allowed.example"), Found::Address(address));
        assert_eq!(look_up(&names, "other.example"), Found::Refused);
    }

    #[test]
    fn names_that_would_be_asked_about_have_one_too() {
        let names = names(EgressAction::Ask);
        assert!(matches!(look_up(&names, "other.example"), Found::Address(_)));
        assert_eq!(look_up(&names, "localhost"), Found::Refused);
    }

    #[test]
    fn what_is_refused_is_logged() {
        let names = names(EgressAction::Deny);
        assert_eq!(look_up(&names, "other.example"), Found::Refused);
        let logged: Vec<_> =
            names.0.status().recent.into_iter().map(|one| (one.host, one.port, one.via, one.action)).collect();
        assert_eq!(logged, [("other.example".to_owned(), 0, EgressVia::Dns, EgressAction::Deny)]);
    }

    #[test]
    fn a_refused_name_counts_as_blocked_once_however_it_is_asked_for() {
        let names = names(EgressAction::Deny);
        for (name, wants_address) in [("denied.example", true), ("denied.example", false), ("other.example", true)] {
            assert_eq!(names.look_up(&Host::parse(name).expect("a host"), wants_address), Found::Refused);
        }
        assert!(matches!(look_up(&names, "allowed.example"), Found::Address(_)));
        let status = names.0.status();
        assert_eq!((status.allowed, status.blocked), (0, 2));
        assert_eq!(status.hits, [(1, 1)], "the rule that refuses it is told");
        assert_eq!(status.recent.iter().map(|one| one.count).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn without_a_policy_no_name_exists() {
        assert_eq!(look_up(&empty(), "allowed.example"), Found::Refused);
    }

    #[test]
    fn the_own_name_is_answered_whatever_the_policy_says_and_not_logged() {
        for names in [empty(), names(EgressAction::Deny)] {
            let own = names.0.place.address;
            assert_eq!(look_up(&names, OWN_NAME), Found::Address(own));
            assert_eq!(names.0.status().recent.len(), 0);
        }
    }
}
