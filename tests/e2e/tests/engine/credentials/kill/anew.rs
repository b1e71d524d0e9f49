//! A change of the mode that makes the container anew, because what is mounted in it follows the mode, and a daemon that is
//! killed on the way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use boxwood_e2e::identity_realm::{Realm, stored};
use boxwood_e2e::{docker, until};
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialSource};
use boxwood_protocol::sandbox::SandboxInfo;

use super::{holders, is_valid, killed_after, moments};

/// Where the login home is inside.
const INSIDE: &str = "/var/lib/boxwood/login";

/// What the engine has of a world, by kind and role; volumes and networks by name, as those stay the same.
fn objects(realm: &Realm) -> BTreeSet<String> {
    let filter = realm.world.filter().expect("an installation");
    let count = |role: &str| format!("{role}: {}", docker::containers_of(role, &filter).len());
    let mut all = BTreeSet::from([count("sandbox"), count("gateway")]);
    all.insert(format!("all: {}", docker::containers(&filter).len()));
    all.insert(format!("networks: {}", docker::networks(&filter).len()));
    all.extend(docker::volumes(&filter));
    all
}

/// Files of Claude's directories that are not whole, or that somebody had begun to write.
fn half_written(realm: &Realm) -> Vec<PathBuf> {
    let homes = fs::read_dir(realm.world.state().join("sandboxes")).into_iter().flatten().flatten();
    let logins = fs::read_dir(realm.world.state().join("logins")).into_iter().flatten().flatten();
    let directories = homes
        .map(|entry| entry.path().join("home/.claude"))
        .chain(logins.map(|entry| entry.path().join(".claude")))
        .flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
    let is_half = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_broken = || serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap_or_default()).is_err();
        name.starts_with(".boxwood-new-") || name.contains(".tmp.") || (name.ends_with(".json") && is_broken())
    };
    directories.map(|entry| entry.path()).filter(|path| is_half(path)).collect()
}

/// Holds a sandbox against the mode that it is in, whichever of the two that is, and has it work.
fn check(realm: &Realm, sandbox: &SandboxInfo, what: &str) -> CredentialMode {
    let status = realm.status();
    assert_eq!(
        (status.source, status.health),
        (Some(CredentialSource::LoginHome), CredentialHealth::Ok),
        "{what}: {status:?}"
    );
    let mode = status.mode.expect("a mode");
    let home = realm.world.state().join("logins/default/.claude");
    let login = stored(&home);
    assert!(is_valid(realm, &login["accessToken"]) && is_valid(realm, &login["refreshToken"]), "{what}: {mode:?}");
    let [access, refresh] = ["accessToken", "refreshToken"].map(|name| login[name].as_str().expect("a token"));
    let file = home.join(".credentials.json").display().to_string();
    assert_eq!(holders(&realm.world.root(), refresh), [file], "{what}: what renews the login is in one place");
    let is_isolated = mode == CredentialMode::Isolated;
    let inside = !holders(&realm.world.home_of(sandbox), access).is_empty();
    let now = realm.world.list().pop().expect("the sandbox");
    let inspected = docker::inspect(&now.container).expect("it is there");
    let is_mounted = inspected["Mounts"].to_string().contains(INSIDE);
    assert_eq!((inside, is_mounted), (!is_isolated, is_isolated), "{what}: the token and the mount in {mode:?}");
    assert_eq!(half_written(realm), Vec::<PathBuf>::new(), "{what}");
    realm.connect();
    realm.works("", "in-its-mode");
    assert_eq!(realm.world.sh("cat ~/note").ok().out(), "kept\n", "{what}");
    mode
}

/// Changes the mode there and back, and kills the daemon on each way there.
fn is_killed_on_the_way(from: &str, to: &str) {
    let realm = Realm::new();
    let _ = realm.world.list();
    realm.sign_in();
    realm.choose(from, "login-home");
    let sandbox = realm.start();
    let _ = realm.world.sh("echo kept >~/note").ok();
    assert_eq!(check(&realm, &sandbox, "at first").as_str(), from);
    let engine = objects(&realm);
    let words = ["credentials", "mode", to, "--source", "login-home", "--yes", "--json"];
    let begun = Instant::now();
    let _ = realm.world.boxwood(words).run().ok();
    let whole = begun.elapsed();
    assert_eq!(check(&realm, &sandbox, "when nobody is killed").as_str(), to);
    let (mut before, mut after) = (0, 0);
    for moment in moments(whole) {
        let what = format!("{to} from {from} after {moment:?} of {whole:?}");
        realm.choose(from, "login-home");
        realm.connect();
        let mut call = None;
        killed_after(&realm, moment, || call = Some(realm.world.boxwood(words).spawn()));
        drop(call.expect("it was begun").wait());
        until("the repair", || {
            let journal = fs::read_dir(realm.world.state().join("journal")).map(Iterator::count).unwrap_or_default();
            (journal == 0 && objects(&realm) == engine).then_some(())
        });
        // Where what is inside is not yet what was chosen, the person is told what to do.
        if realm.status().warnings.iter().any(|warning| warning.contains("'boxwood restart'")) {
            let _ = realm.world.boxwood(["restart", "--json"]).run().ok();
        }
        let mode = check(&realm, &sandbox, &what);
        *(if mode.as_str() == to { &mut after } else { &mut before }) += 1;
        assert_eq!(objects(&realm), engine, "{what}");
    }
    eprintln!("{to} from {from}: {before} times the mode before, {after} times the one that was chosen");
    for counter in ["reuseDetections", "refusedRefreshes"] {
        assert_eq!(realm.identity.count(counter), 0, "{counter}");
    }
    assert_eq!(realm.identity.count("signIns"), 1);
}

#[test]
fn a_login_home_that_is_being_mounted() {
    is_killed_on_the_way("token", "isolated");
}

#[test]
fn a_login_home_that_is_being_taken_away() {
    is_killed_on_the_way("isolated", "token");
}
