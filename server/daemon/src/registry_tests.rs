//! What is told of a sandbox's health.

use std::collections::HashMap;

use boxwood_core::labels;
use boxwood_core::paths::Paths;
use boxwood_engine::{ContainerState, HealthReport, HealthState};
use boxwood_protocol::sandbox::Health;

use crate::hub::Hub;
use crate::registry::{Registry, container, parse_checks};

const BROKEN: &str = r#"{"healthy":false,"checks":[{"name":"claude","ok":false,"detail":"no answer"}]}"#;
const WELL: &str = r#"{"healthy":true,"checks":[{"name":"claude","ok":true,"detail":"1.0.0"}]}"#;

/// Engines keep the answers of earlier runs.
#[test]
fn what_was_wrong_before_a_restart_is_not_told_after_it() {
    let registry = Registry::new(Hub::new());
    let own = HashMap::from([(labels::SANDBOX.to_owned(), "project".to_owned())]);
    let mut detail = container("1".to_owned(), "boxwood-project".to_owned(), ContainerState::Running, own);
    let paths = Paths::resolve(&|name| (name == "HOME").then(|| "/home/somebody".to_owned()), 1000);
    let checks = |registry: &Registry| registry.detail(&registry.get("project").expect("known"), &paths).checks;
    detail.health = HealthReport { state: HealthState::Unhealthy, output: BROKEN.to_owned() };
    assert_eq!(registry.update(detail.clone()).health, Health::Unhealthy);
    assert_eq!(checks(&registry), parse_checks(BROKEN));

    detail.health.state = HealthState::Starting;
    registry.verified(&detail, parse_checks(WELL));
    assert_eq!(registry.update(detail.clone()).health, Health::Healthy);
    assert_eq!(checks(&registry), parse_checks(WELL));

    detail.health.state = HealthState::Unhealthy;
    assert_eq!(registry.update(detail).health, Health::Unhealthy, "the engine has looked again");
    assert_eq!(checks(&registry), parse_checks(BROKEN));
}
