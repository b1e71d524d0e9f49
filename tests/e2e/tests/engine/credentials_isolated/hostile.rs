//! What an agent makes of what it shares with others, or leaves behind: nobody else is kept from anything by it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use boxwood_e2e::docker;
use boxwood_protocol::credentials::CredentialHealth;

use super::INSIDE;
use crate::login::Signing;

/// What an agent does to the login home, in its directory there.
const DEEDS: [(&str, &str); 5] = [
    (
        "a directory in the place of the file",
        "rm -rf .credentials.json .claude.json; mkdir -p .credentials.json/x .claude.json/x",
    ),
    ("modes that keep its owner out", "chmod 000 .credentials.json .. ."),
    (
        "a file larger than the disk",
        "rm -rf .credentials.json .claude.json; truncate -s 4T .credentials.json .claude.json",
    ),
    ("what has a lock's name and is none", "touch .storage-write.lock; mkdir -p .oauth_refresh.lock/x"),
    ("a crowd of files", "seq -f n%.0f 100000 | xargs touch; rm -f .credentials.json"),
];

#[test]
fn whatever_became_of_the_login_home_signing_in_puts_it_right() {
    let signing = Signing::with_sandboxes();
    signing.sign_in();
    let _ = (signing.start_session("one", &[]), signing.start_session("two", &[]));
    for (what, deed) in DEEDS {
        let _ = signing.sh_in("one", &format!("cd {INSIDE}/.claude && {deed}")).ok();
        // Whatever it is, it is told, and nobody waits for it.
        let _ = signing.status_of("two");
        signing.sign_in();
        assert_eq!(signing.status_of("two").health, CredentialHealth::Ok, "{what}");
        signing.works_in("one");
        signing.works_in("two");
        let kept = fs::read_dir(signing.world.state().join("logins/.replaced-default")).into_iter().flatten().flatten();
        let room: u64 = kept.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum();
        assert!(room < 64 << 20, "{what}: {room} bytes of it are kept on the host");
    }
    // Nor does it keep the person from signing out.
    for (_, deed) in &DEEDS[..4] {
        let _ = signing.sh_in("one", &format!("cd {INSIDE}/.claude && {deed}")).ok();
        let _ = signing.world.boxwood(["credentials", "sign-out", "login-home"]).run().ok();
        assert!(!signing.storage("default").join(".credentials.json").exists());
        signing.sign_in();
    }
    signing.nobody_is_logged_out();
}

#[test]
fn what_an_agent_leaves_in_its_home_can_be_deleted() {
    let signing = Signing::with_sandboxes();
    let sandbox = signing.start_session("one", &[]).sandbox;
    let pid = signing.world.daemon().expect("it runs").pid;
    // Nested deeper than anybody can follow, and closed to its owner.
    let deep = "cd ~ && perl -e 'for (1..8000) { mkdir q(d) and chdir q(d) or die $! }' && mkdir c && touch c/x && \
                chmod 000 c .claude . && echo made";
    let made = docker::docker(["exec", &sandbox.container, "sh", "-c", deep]);
    assert_eq!(made, "made");
    let purge = ["remove", "--session", "one", "--purge-state", "--yes", "--json"];
    let _ = signing.world.boxwood(purge).run().ok();
    let left = fs::read_dir(signing.world.state().join("sandboxes")).expect("there").count();
    assert_eq!((left, signing.world.daemon().map(|daemon| daemon.pid)), (0, Some(pid)));
}
