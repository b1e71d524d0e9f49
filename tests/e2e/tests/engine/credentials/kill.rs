//! The daemon is killed while it signs in, hands out, writes back and changes a mode, at moments spread over the time that the
//! work takes. Afterwards a credential that works is in exactly the places that the mode allows, and is found.

mod anew;

use std::fs;
use std::time::{Duration, Instant};

use boxwood_e2e::cli::{Cli, signal};
use boxwood_e2e::docker;
use boxwood_e2e::identity_host::HostClaude;
use boxwood_e2e::identity_realm::{Realm, stored};
use boxwood_e2e::rpc::Rpc;
use boxwood_e2e::until;
use boxwood_e2e::world::is_alive;
use boxwood_protocol::Method as _;
use boxwood_protocol::contract::{LoginCode, StartLogin};
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialSource, Secret};
use boxwood_protocol::login::{LoginCodeParams, LoginStartParams};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::{Value, json};

/// How many moments there are in each piece of work.
const MOMENTS: u32 = 7;

/// Moments in a time, from its beginning to its end.
fn moments(whole: Duration) -> impl Iterator<Item = Duration> {
    (0..MOMENTS).map(move |at| whole * at / (MOMENTS - 1))
}

/// Kills the daemon so long after `begin` has begun something, and starts the next one.
fn killed_after(realm: &Realm, moment: Duration, begin: impl FnOnce()) {
    let pid = realm.world.daemon().expect("it runs").pid;
    begin();
    // The moment itself is what is tested; nothing announces it.
    std::thread::sleep(moment);
    signal(pid, "KILL");
    until("the daemon's death", || (!is_alive(pid)).then_some(()));
    let _ = realm.world.list();
}

/// Has a claude answer whose access token is over, and kills the daemon so long after it has begun to renew its login.
fn killed_while_renewing(realm: &Realm, moment: Duration, claude: Cli) {
    let _ = realm.identity.ask("expire", &json!({ "what": "access" }));
    let next = realm.identity.count("requests.refresh") + 1;
    let mut working = None;
    killed_after(realm, moment, || {
        working = Some(claude.spawn());
        let begun = json!({ "counter": "requests.refresh", "atLeast": next, "seconds": 60 });
        let _ = realm.identity.ask("await", &begun);
    });
    assert_eq!(working.expect("it was begun").wait().ok().out().trim(), "renewed", "after {moment:?}");
}

fn is_valid(realm: &Realm, token: &Value) -> bool {
    token.as_str().is_some_and(|token| realm.identity.state_of(token) == "valid")
}

/// Files below a directory that have this text.
fn holders(directory: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(holders(&entry.path(), text)),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(entry.path().display().to_string());
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn a_sign_in_that_is_killed_leaves_the_login_before_or_the_new_one() {
    let realm = Realm::new();
    let _ = realm.world.list();
    let begun = Instant::now();
    realm.sign_in();
    let whole = begun.elapsed();
    let home = realm.world.state().join("logins/default/.claude");
    for moment in moments(whole) {
        let pid = realm.world.daemon().expect("it runs").pid;
        // Whatever the sign-in asks is answered as soon as it is asked, until the daemon is gone.
        let (state, url) = (realm.world.state(), Instant::now());
        let begun = Rpc::open(&realm.world)
            .call::<StartLogin>(&LoginStartParams { replace: true, ..LoginStartParams::default() })
            .expect("it begins");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(moment.saturating_sub(url.elapsed()));
                signal(pid, "KILL");
            });
            while is_alive(pid) {
                if let Some(address) = realm.address_now(&begun.operation_id) {
                    let code = Secret::new(realm.identity.sign_in(&address));
                    let params = LoginCodeParams { operation_id: begun.operation_id.clone(), code };
                    let words = serde_json::to_value(&params).expect("JSON");
                    // The daemon may be gone by now.
                    drop(Rpc::try_open(&realm.world).and_then(|mut rpc| rpc.ask(LoginCode::NAME, &words)));
                    break;
                }
            }
        });
        until("the daemon's death", || (!is_alive(pid)).then_some(()));
        let _ = realm.world.list();
        until("the end of what was left", || {
            let filter = realm.world.filter().expect("an installation");
            let names = fs::read_dir(state.join("logins")).into_iter().flatten().flatten();
            let is_tidy =
                names.filter(|entry| !entry.file_name().to_string_lossy().starts_with(".replaced-")).count() == 1;
            (docker::containers_of("login", &filter).is_empty() && is_tidy).then_some(())
        });
        let login = stored(&home);
        assert!(
            is_valid(&realm, &login["accessToken"]) && is_valid(&realm, &login["refreshToken"]),
            "after {moment:?}"
        );
        let status = realm.status();
        assert_eq!(
            (status.source, status.health),
            (Some(CredentialSource::LoginHome), CredentialHealth::Ok),
            "after {moment:?}: {status:?}"
        );
        let refresh = login["refreshToken"].as_str().expect("a token");
        let found = holders(&realm.world.root(), refresh);
        assert_eq!(found, [home.join(".credentials.json").display().to_string()], "after {moment:?}");
    }
    assert_eq!(realm.identity.count("reuseDetections"), 0);
}

#[test]
fn what_is_renewed_is_handed_out_although_the_daemon_is_killed() {
    let realm = Realm::new();
    let host = HostClaude::new();
    realm.sign_in_host(&realm.identity.issue());
    realm.choose("token", "host-login");
    let sandbox = realm.start();
    for moment in moments(Duration::from_millis(300)) {
        let before = host.login(&realm);
        killed_while_renewing(&realm, moment, host.call(&realm, &["-p", "say renewed"]));
        let login = host.login(&realm);
        assert_ne!(login["refreshToken"], before["refreshToken"], "after {moment:?}");
        until("the new token inside", || {
            (realm.login_in(&sandbox)["accessToken"] == login["accessToken"]).then_some(())
        });
        assert!(
            is_valid(&realm, &login["accessToken"]) && is_valid(&realm, &login["refreshToken"]),
            "after {moment:?}"
        );
        let inside = realm.login_in(&sandbox);
        assert_eq!(inside.get("refreshToken"), None, "what renews it is not inside, after {moment:?}");
        let refresh = login["refreshToken"].as_str().expect("a token");
        assert_eq!(holders(&realm.world.state(), refresh), Vec::<String>::new(), "after {moment:?}");
    }
    realm.works("", "still-signed-in");
    assert_eq!(realm.status().mode, Some(CredentialMode::Token));
    assert_eq!(realm.identity.count("reuseDetections"), 0);
}

#[test]
fn what_is_renewed_inside_is_written_back_although_the_daemon_is_killed() {
    let realm = Realm::new();
    let host = HostClaude::new();
    realm.sign_in_host(&realm.identity.issue());
    realm.choose("sync", "host-login");
    let sandbox = realm.start();
    for moment in moments(Duration::from_millis(300)) {
        let before = host.login(&realm);
        // By the engine itself: what the daemon runs for a person is no longer heard when it is dead.
        let inside = ["exec", &sandbox.container, "claude", "-p", "say renewed"];
        killed_while_renewing(&realm, moment, Cli::new("docker").args(inside));
        until("both sides have what was renewed", || {
            let (inside, outside) = (realm.login_in(&sandbox)["refreshToken"].take(), host.login(&realm));
            (inside == outside["refreshToken"] && inside != before["refreshToken"]).then_some(())
        });
        let login = host.login(&realm);
        assert!(
            is_valid(&realm, &login["accessToken"]) && is_valid(&realm, &login["refreshToken"]),
            "after {moment:?}"
        );
        assert!(!realm.status().is_in_conflict, "after {moment:?}");
    }
    host.works(&realm, "still-signed-in");
    assert_eq!(realm.identity.count("reuseDetections"), 0);
}

/// What is inside of a person's two credentials in a mode and from a source.
struct Held {
    mode: &'static str,
    source: &'static str,
    key: bool,
    access: bool,
    refresh: bool,
}

const fn held(mode: &'static str, source: &'static str, [key, access, refresh]: [bool; 3]) -> Held {
    Held { mode, source, key, access, refresh }
}

/// A way through the modes on which each is left and entered.
const WAY: [Held; 6] = [
    held("token", "stored-key", [true, false, false]),
    held("brokered", "stored-key", [false, false, false]),
    held("sync", "host-login", [false, true, true]),
    held("token", "host-login", [false, true, false]),
    held("token", "stored-key", [true, false, false]),
    held("sync", "host-login", [false, true, true]),
];

/// Holds what is in a sandbox's home against what its mode allows there.
fn check_inside(realm: &Realm, sandbox: &SandboxInfo, key: &str, what: &str) {
    let status = realm.status();
    let mode = status.mode.map(CredentialMode::as_str).unwrap_or_default();
    let source = status.source.map(CredentialSource::as_str).unwrap_or_default();
    let is_it = |held: &&Held| held.mode == mode && held.source.replace('-', "") == source.to_lowercase();
    let allowed = WAY.iter().find(is_it).unwrap_or_else(|| panic!("{what}: {source} in {mode}"));
    let login = stored(&realm.world.home().join(".claude"));
    let home = realm.world.home_of(sandbox);
    let has = |value: &str| !holders(&home, value).is_empty();
    let token = |name: &str| login[name].as_str().expect("a token").to_owned();
    assert_eq!(
        (has(key), has(&token("accessToken")), has(&token("refreshToken"))),
        (allowed.key, allowed.access, allowed.refresh),
        "{what}: the key, the access token and the refresh token in {mode} from {source}; {:?}",
        holders(&home, &token("refreshToken"))
    );
    assert_eq!(status.health, CredentialHealth::Ok, "{what}: {status:?}");
    assert!(is_valid(realm, &login["refreshToken"]), "{what}: the host's login works");
}

#[test]
fn a_change_of_the_mode_that_is_killed_leaves_what_the_one_or_the_other_allows() {
    let realm = Realm::new();
    let key = realm.identity.key();
    realm.sign_in_host(&realm.identity.issue());
    realm.keep("api-key", &key);
    realm.choose(WAY[0].mode, WAY[0].source);
    let sandbox = realm.start();
    check_inside(&realm, &sandbox, &key, "at first");
    for to in &WAY[1..] {
        let words = ["credentials", "mode", to.mode, "--source", to.source, "--yes", "--json"];
        let before = realm.status();
        let begun = Instant::now();
        let _ = realm.world.boxwood(words).run().ok();
        let whole = begun.elapsed();
        let back = |mode: CredentialMode, source: CredentialSource| {
            let words = ["credentials", "mode", mode.as_str(), "--source", source.as_str(), "--yes", "--json"];
            let _ = realm.world.boxwood(words).run().ok();
        };
        for moment in moments(whole) {
            back(before.mode.expect("a mode"), before.source.expect("a source"));
            let mut call = None;
            killed_after(&realm, moment, || call = Some(realm.world.boxwood(words).spawn()));
            drop(call.expect("it was begun").wait());
            // Where what is inside is not yet what was chosen, the person is told what to do.
            if realm.status().warnings.iter().any(|warning| warning.contains("'boxwood restart'")) {
                let _ = realm.world.boxwood(["restart", "--json"]).run().ok();
            }
            check_inside(&realm, &sandbox, &key, &format!("{} from {} after {moment:?}", to.mode, to.source));
        }
        realm.choose(to.mode, to.source);
        realm.connect();
        check_inside(&realm, &sandbox, &key, to.mode);
        realm.works("", "in-its-mode");
    }
    assert_eq!(realm.identity.count("reuseDetections"), 0);
}
