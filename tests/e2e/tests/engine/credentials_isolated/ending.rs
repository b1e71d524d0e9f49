//! Sandboxes that end while a claude in them renews the login that all of them share.

use serde_json::json;

use super::{HOURS, NEARLY_OVER};
use crate::login::Signing;

#[test]
fn a_sandbox_that_is_removed_while_it_renews_the_login_logs_nobody_out() {
    let signing = Signing::with_sandboxes();
    signing.lasts(NEARLY_OVER);
    signing.sign_in();
    let _ = (signing.start_session("one", &[]), signing.start_session("two", &[]));
    let before = signing.login("default");
    let slow = json!({ "on": "refresh", "times": 1, "kind": "slow", "ms": 3000 });
    let _ = signing.identity.ask("fault", &slow);
    let renewing = signing.world.boxwood(["exec", "--session", "one", "--", "claude", "-p", "say hello"]).spawn();
    let _ = signing.identity.ask("await", &json!({ "counter": "requests.refresh", "atLeast": 1, "seconds": 60 }));
    signing.lasts(HOURS);
    let _ = signing.world.boxwood(["remove", "--session", "one", "--json"]).run().ok();
    drop(renewing.wait());
    assert_eq!(signing.world.list().len(), 1, "it is removed");
    let renewed = signing.login("default");
    assert_ne!(renewed["refreshToken"], before["refreshToken"], "what it renewed was written");
    assert!(!signing.storage("default").join(".oauth_refresh.lock").exists(), "the others can renew it, too");
    signing.works_in("two");
    assert_eq!((signing.identity.count("refreshes"), signing.identity.count("signIns")), (1, 1));
    signing.nobody_is_logged_out();
}
