//! Switching between any two modes, interrupted at every write: nothing is lost, and nothing is left.

use std::collections::BTreeMap;
use std::fs;

use boxwood_core::credentials::environment::{Endpoint, KeyForm};
use boxwood_core::credentials::provision::{PLACEHOLDER_KEY, PLACEHOLDER_LOGIN};
use boxwood_protocol::{ErrorCode, RpcError};
use serde_json::json;

use super::*;

const LOGIN: &str = "canary-refresh-canary";

struct World {
    place: Where,
    _root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("sandboxes/p-1");
        let home = own.join("home");
        fs::create_dir_all(&home).expect("made");
        let place = Where {
            own,
            home,
            configuration: "/home/boxwood/.claude".to_owned(),
            workspace: "/p".to_owned(),
            park: root.path().join("logins/p-1"),
        };
        Self { place, _root: root }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.home.join(".claude").join(name)
    }

    fn hold(&self, holding: &Holding, writes: usize) -> Result<Applied> {
        let mut left = writes;
        apply(&self.place, holding.mode, holding.material.as_ref(), &mut || {
            if left == 0 {
                return Err(RpcError::new(ErrorCode::Internal, "killed"));
            }
            left -= 1;
            Ok(())
        })
    }

    /// The sandbox as it is when it has worked in this mode for a while.
    fn settled(&self, holding: &Holding) {
        drop(self.hold(holding, usize::MAX).expect("held"));
        if holding.mode == CredentialMode::Isolated {
            let login = json!({ "claudeAiOauth": {
                "accessToken": "canary-access-canary", "refreshToken": LOGIN, "expiresAt": 4_000_000_000_000_i64,
                "scopes": ["user:inference"],
            }});
            fs::write(self.file(".credentials.json"), login.to_string()).expect("written");
        }
    }

    /// Everything in the home, by name.
    fn inside(&self) -> BTreeMap<String, String> {
        let list = fs::read_dir(self.place.home.join(".claude")).expect("a directory");
        let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        list.flatten().map(|entry| (name(&entry), fs::read_to_string(entry.path()).expect("text"))).collect()
    }

    /// Which secrets are inside.
    fn secrets(&self) -> Vec<String> {
        let all = self.inside().into_values().collect::<String>();
        let is_there = |secret: &&str| all.contains(*secret);
        ["canary-key-canary", "canary-setup-canary", "canary-lent-canary", "canary-access-canary", LOGIN]
            .iter()
            .filter(|secret| is_there(secret))
            .map(|secret| (*secret).to_owned())
            .collect()
    }

    fn parked(&self) -> String {
        fs::read_to_string(self.place.park.join(".claude/.credentials.json")).unwrap_or_default()
    }
}

struct Holding {
    mode: CredentialMode,
    material: Option<Material>,
}

fn holdings() -> Vec<Holding> {
    use CredentialMode::{Brokered, Isolated, Token};
    let secret = |text: &str| Secret::new(text.to_owned());
    let key =
        || Material::Key { value: secret("canary-key-canary"), form: KeyForm::Key, endpoint: Endpoint::default() };
    let setup = || Material::SetupToken { value: secret("canary-setup-canary"), endpoint: Endpoint::default() };
    let lent = json!({ "claudeAiOauth": { "accessToken": "canary-lent-canary", "scopes": ["user:inference"] } });
    let lent = Material::Login { access_only: Secret::new(lent.to_string()) };
    [
        (Isolated, None),
        (Brokered, Some(key())),
        (Brokered, Some(setup())),
        (Token, Some(key())),
        (Token, Some(setup())),
        (Token, Some(lent)),
        (Token, None),
    ]
    .map(|(mode, material)| Holding { mode, material })
    .into()
}

#[test]
fn a_mode_that_is_left_anywhere_in_between_is_entered_whole_afterwards() {
    let all = holdings();
    for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (from, to))) {
        let whole = World::new();
        whole.settled(from);
        let before = whole.secrets();
        drop(whole.hold(to, usize::MAX).expect("held"));
        let (expected, after) = (whole.inside(), whole.secrets());
        let case = format!("{:?} to {:?}", from.mode, to.mode);
        let keeps_login = to.mode == CredentialMode::Isolated;
        assert_eq!(after.iter().any(|secret| secret == LOGIN), keeps_login && from.mode == to.mode, "{case}");
        for writes in 0.. {
            let world = World::new();
            world.settled(from);
            let is_whole = world.hold(to, writes).is_ok();
            let found = world.secrets();
            let is_within = |allowed: &[String]| found.iter().all(|secret| allowed.contains(secret));
            assert!(is_within(&before) || is_within(&after), "{case}, killed at {writes}: {found:?}");
            let login = [world.parked(), world.inside().into_values().collect()].concat();
            assert_eq!(login.contains(LOGIN), from.mode == CredentialMode::Isolated, "{case}, killed at {writes}");
            drop(world.hold(to, usize::MAX).expect("held after all"));
            assert_eq!(world.inside(), expected, "{case}, killed at {writes}");
            assert_eq!(traces(&world.place.own).mode(), Some(to.mode), "{case}, killed at {writes}");
            if is_whole {
                assert!(writes > 4, "{case}");
                break;
            }
        }
    }
}

#[test]
fn a_placeholder_is_all_that_a_brokered_sandbox_holds() {
    for (holding, placeholder) in holdings()[1..3].iter().zip([PLACEHOLDER_KEY, PLACEHOLDER_LOGIN]) {
        let world = World::new();
        let applied = world.hold(holding, usize::MAX).expect("held");
        assert_eq!(world.secrets(), [""; 0]);
        assert!(world.inside().into_values().any(|text| text.contains(placeholder)));
        assert_eq!(applied.injections.len(), 1);
    }
}

#[test]
fn what_cannot_be_read_is_kept_outside_and_never_inside() {
    let world = World::new();
    world.settled(&holdings()[0]);
    fs::write(world.file(".credentials.json"), [b"{\"claudeAiOauth\": \xff".as_slice(), LOGIN.as_bytes()].concat())
        .expect("written");
    fs::write(world.file("settings.json"), "{ half").expect("written");
    let applied = world.hold(&holdings()[1], usize::MAX).expect("held");
    assert_eq!(applied.warnings.len(), 2, "{:?}", applied.warnings);
    assert_eq!(world.secrets(), [""; 0]);
    let kept = |name: &str| fs::read(world.place.own.join("broken").join(name)).expect("kept");
    assert!(kept(".credentials.json").ends_with(LOGIN.as_bytes()));
    assert_eq!(kept("settings.json"), b"{ half");
}

#[test]
fn links_to_the_host_are_neither_read_nor_written() {
    let world = World::new();
    world.settled(&holdings()[0]);
    let host = world.place.own.join("host.json");
    fs::write(&host, format!("{{\"claudeAiOauth\":{{\"refreshToken\":\"{LOGIN}\"}}}}")).expect("written");
    #[cfg(unix)]
    for name in [".credentials.json", "settings.json", ".claude.json", ".boxwood-key"] {
        let _ = fs::remove_file(world.file(name));
        std::os::unix::fs::symlink(&host, world.file(name)).expect("linked");
    }
    drop(world.hold(&holdings()[3], usize::MAX).expect("held"));
    assert!(fs::read_to_string(&host).expect("there").contains(LOGIN));
    assert_eq!(world.secrets(), ["canary-key-canary"]);
    assert_eq!(world.parked(), "");
}

#[test]
fn what_other_programs_put_into_the_files_stays() {
    let world = World::new();
    world.settled(&holdings()[4]);
    let mut file: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(world.file(".credentials.json")).expect("there")).expect("json");
    file["mcpOAuth"] = json!({ "s": { "accessToken": "m" } });
    fs::write(world.file(".credentials.json"), file.to_string()).expect("written");
    drop(world.hold(&holdings()[1], usize::MAX).expect("held"));
    assert_eq!(world.secrets(), [""; 0]);
    assert!(world.inside()[".credentials.json"].contains("mcpOAuth"));
}

#[test]
fn what_a_copy_took_the_place_of_goes_with_the_copy_wherever_that_is_interrupted() {
    let backups = ["replaced-on-host.json", "replaced-in-sandbox.json"];
    let sync = Holding { mode: CredentialMode::Sync, material: None };
    for to in holdings() {
        for writes in 0.. {
            let world = World::new();
            world.settled(&sync);
            let left = || backups.iter().filter(|name| world.place.own.join(name).exists()).count();
            for name in backups {
                fs::write(world.place.own.join(name), LOGIN).expect("written");
            }
            drop(world.hold(&sync, usize::MAX).expect("held"));
            assert_eq!(left(), 2, "while it has a copy they are kept");
            let is_whole = world.hold(&to, writes).is_ok();
            drop(world.hold(&to, usize::MAX).expect("held"));
            assert_eq!(left(), 0, "{:?}, killed at {writes}", to.mode);
            if is_whole {
                break;
            }
        }
    }
}
