//! What names are answered with.

use std::net::Ipv4Addr;
use std::sync::Arc;

use boxwood_core::egress::Host;
use boxwood_gateway::dns::{Found, Zone as _};
use boxwood_gateway::zone::Names;
use boxwood_protocol::egress::{EgressAction, EgressVia};

use crate::rig::{Rig, allowing, placed, rule};

fn name(text: &str) -> Host {
    Host::parse(text).expect("a host")
}

#[tokio::test]
async fn what_may_be_reached_or_asked_about_has_an_address_and_nothing_else_exists() {
    let mut policy = allowing(&["a.example:22"]);
    policy.rules.push(placed(rule("b.example", EgressAction::Ask)));
    let rig = Rig::new(policy).await;
    let names = Names(Arc::clone(&rig.state));
    let Found::Address(address) = names.look_up(&name("a.example"), true) else { panic!("an address") };
    assert!(rig.state.place.subnet.is_own(address));
    assert_eq!(names.look_up(&name("a.example"), true), Found::Address(address));
    assert_eq!(names.name_of(address).as_deref(), Some("a.example"));
    assert!(matches!(names.look_up(&name("b.example"), true), Found::Address(other) if other != address));
    assert!(rig.log().is_empty());

    assert_eq!(names.look_up(&name("c.example"), true), Found::Refused);
    let decision = rig.log().pop().expect("a decision");
    assert_eq!((decision.via, decision.port, decision.host.as_str()), (EgressVia::Dns, 0, "c.example"));
    // Nothing else will come of it, so this is what was blocked.
    assert_eq!(rig.state.status().blocked, 1);
}

#[tokio::test]
async fn a_question_for_something_else_takes_no_address() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let names = Names(Arc::clone(&rig.state));
    assert_eq!(names.look_up(&name("a.example"), false), Found::Address(Ipv4Addr::UNSPECIFIED));
    assert_eq!(names.look_up(&name("b.example"), false), Found::Refused);
    assert_eq!(rig.last(), "Deny b.example:0");
}

#[tokio::test]
async fn without_a_policy_no_name_exists() {
    let rig = Rig::without_policy();
    assert_eq!(Names(Arc::clone(&rig.state)).look_up(&name("a.example"), true), Found::Refused);
    assert_eq!(rig.last(), "Deny a.example:0 no-policy");
}
