use std::os::unix::fs::symlink;

use boxwood_core::plan;
use boxwood_protocol::config::Network;
use boxwood_protocol::operation::{OperationEnd, OutcomeKind};

use super::*;
use crate::lifecycle::tests::{Saboteur, World};

/// A home with keys in it, and a project.
fn home() -> (tempfile::TempDir, Paths, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().canonicalize().expect("canonical");
    for made in ["home/.ssh", "home/docs", "project/.boxwood", "home/.local/state/boxwood"] {
        fs::create_dir_all(root.join(made)).expect("made");
    }
    fs::write(root.join("home/.ssh/id_test"), "a key").expect("written");
    let text = root.join("home").to_string_lossy().into_owned();
    (directory, Paths::resolve(&|name| (name == "HOME").then(|| text.clone()), 7), root)
}

#[test]
fn every_link_on_the_way_is_seen() {
    let (_directory, _, root) = home();
    let at = |path: &str| root.join(path);
    symlink("../home/.ssh", at("project/keys")).expect("linked");
    symlink(at("project/keys"), at("home/docs/far")).expect("linked");
    symlink("far/id_test", at("home/docs/key")).expect("linked");
    let led = follow(&at("home/docs/key")).expect("there");
    assert_eq!(led.real, at("home/.ssh/id_test"));
    let links = ["home/docs/key", "home/docs/far", "project/keys"].map(|path| at(path).to_string_lossy().into_owned());
    assert_eq!(led.links, links);
    assert!(follow(&at("home/.ssh/id_test")).expect("there").links.is_empty());
    symlink("around", at("home/around")).expect("linked");
    assert!(follow(&at("home/around")).is_err(), "a circle ends");
}

#[test]
fn only_files_and_directories_are_led_to() {
    let (_directory, _, root) = home();
    let lead = |path: &str| super::lead(&root.join(path).to_string_lossy());
    assert!(lead("home/.ssh").is_ok() && lead("home/.ssh/id_test").is_ok());
    let missing = lead("home/.gitconfig").expect_err("it is not there");
    assert!(missing.message.contains("it is not there") && missing.hint.is_some(), "{missing:?}");
    let _listener = std::os::unix::net::UnixListener::bind(root.join("home/agent.sock")).expect("a socket");
    assert!(lead("home/agent.sock").expect_err("a socket").message.contains("neither a file nor a directory"));
}

#[test]
fn an_approval_is_bound_to_what_a_mount_leads_to() {
    let (_directory, paths, root) = home();
    let project = root.join("project").to_string_lossy().into_owned();
    symlink("docs", root.join("home/link")).expect("linked");
    let write = |text: &str| fs::write(root.join("project/.boxwood/sandbox.jsonc"), text).expect("written");
    let load = || settings::load(&paths, &project, &SandboxConfig::default()).expect("valid").report;
    let approve = || settings::approve(&paths, &project, &load().content_hash.expect("a hash")).expect("approved");
    write(r#"{"readOnlyMounts": ["~/link"]}"#);
    let report = load();
    let docs = root.join("home/docs").to_string_lossy().into_owned();
    assert!(!report.is_approved && report.widens.iter().any(|words| words.contains(&docs)), "{:?}", report.widens);
    approve();
    assert!(load().is_approved);
    fs::remove_file(root.join("home/link")).expect("removed");
    symlink(".ssh", root.join("home/link")).expect("linked");
    let report = load();
    assert!(!report.is_approved, "it leads elsewhere now");
    assert!(report.widens.iter().any(|words| words.contains("private keys")), "{:?}", report.widens);
    fs::remove_file(root.join("home/link")).expect("removed");
    assert!(!load().is_approved, "nor is what is there no more");
    symlink("docs", root.join("home/link")).expect("linked");
    assert!(load().is_approved, "what was approved is there again");
    write(r#"{"readOnlyMounts": ["~/link", "~/.ssh"]}"#);
    assert!(!load().is_approved, "another list is another wish");
    write(r#"{"readOnlyMounts": []}"#);
    assert!(load().is_approved && load().widens.is_empty());
}

fn detail(world: &World) -> ContainerDetail {
    let info = world.daemon.registry.list().remove(0);
    world.daemon.registry.get(&info.id).expect("known").detail
}

async fn ok(world: &World, steps: Vec<plan::Step>) {
    let end = world.play(steps, Network::None, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    world.quiet().await;
}

/// A sandbox with the mount that every one of [`World`]'s has, and where that is.
async fn made() -> (World, PathBuf) {
    let world = World::new().await;
    ok(&world, plan::create(false)).await;
    let keys = world.directory.path().join("home/.keys/deploy").canonicalize().expect("there");
    (world, keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_mounted_read_only_and_known_by_its_label() {
    let (world, keys) = made().await;
    let name = format!("boxwood-{}", world.identity().id);
    let body = world.engine.creation(&name).expect("it is there");
    let mounts = body["HostConfig"]["Mounts"].as_array().expect("mounts").clone();
    let mount = mounts.iter().find(|mount| mount["Target"] == "/home/boxwood/.keys/deploy").expect("mounted");
    assert_eq!(mount["Source"], keys.to_string_lossy().as_ref());
    assert_eq!((&mount["ReadOnly"], &mount["BindOptions"]["NonRecursive"]), (&true.into(), &true.into()));
    let has = mounted(&detail(&world).labels);
    assert_eq!(has.len(), 1);
    assert!(!is_outdated(&world.daemon, &detail(&world)));
    let point = world.daemon.records.home(&world.identity().id).join(".keys/deploy");
    assert!(point.is_dir(), "made beforehand, as the person's own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_mounted_now_counts() {
    let (world, keys) = made().await;
    let is_outdated = || is_outdated(&world.daemon, &detail(&world));
    let user = world.daemon.paths.user_config();
    fs::create_dir_all(user.parent().expect("a directory")).expect("made");
    fs::write(&user, r#"{"readOnlyMounts": ["~/.keys/deploy:/keys"]}"#).expect("written");
    assert!(is_outdated(), "one more");
    fs::write(&user, "{").expect("written");
    assert!(is_outdated(), "what cannot be read allows nothing");
    fs::remove_file(&user).expect("removed");
    assert!(!is_outdated());
    let project = Path::new(&world.identity().project).join(".boxwood");
    fs::create_dir_all(&project).expect("made");
    fs::write(project.join("sandbox.jsonc"), r#"{"readOnlyMounts": ["~/.keys:/keys"]}"#).expect("written");
    assert!(!is_outdated(), "what a project asks for counts when it is approved");
    settings::approve(&world.daemon.paths, &world.identity().project, &hash(&world)).expect("approved");
    assert!(is_outdated());
    fs::remove_dir_all(&project).expect("removed");
    fs::rename(&keys, keys.with_file_name("moved")).expect("renamed");
    assert!(is_outdated(), "it is not there any more");
    symlink("moved", &keys).expect("linked");
    assert!(is_outdated(), "it leads elsewhere");
}

fn hash(world: &World) -> String {
    let report = settings::load(&world.daemon.paths, &world.identity().project, &SandboxConfig::default());
    report.expect("valid").report.content_hash.expect("a hash")
}

fn refusal(end: OperationEnd) -> RpcError {
    assert_eq!(end.outcome, OutcomeKind::Failed);
    end.error.expect("a reason")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exchanged_since_is_not_mounted() {
    let (world, keys) = made().await;
    ok(&world, plan::stop(false)).await;
    fs::rename(&keys, keys.with_file_name("moved")).expect("renamed");
    symlink("/", &keys).expect("linked");
    let problem = refusal(world.play(plan::start(false), Network::None, Saboteur::default()).await);
    assert!(problem.message.contains("leads to \"/\" since it was looked at"), "{problem}");
    let problem = refusal(world.play(plan::recreate(false, false), Network::None, Saboteur::default()).await);
    assert!(problem.message.contains("is the system's own"), "{problem}");
    assert_ne!(detail(&world).state, boxwood_engine::ContainerState::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mount_point_is_gone_with_its_mount_unless_it_is_in_use() {
    let (world, _) = made().await;
    let home = world.daemon.records.home(&world.identity().id);
    let end = world.play_as(plan::recreate(false, false), World::config(Network::None, &[]), Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    assert!(!home.join(".keys").exists());
    assert!(mounted(&detail(&world).labels).is_empty());

    ok(&world, plan::recreate(false, false)).await;
    fs::write(home.join(".keys/notes"), "of the agent's").expect("written");
    ok(&world, plan::remove(false, false)).await;
    assert!(home.join(".keys/notes").exists() && !home.join(".keys/deploy").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_made_through_a_link_of_the_agents() {
    let world = World::new().await;
    let (home, outside) = (world.daemon.records.home(&world.identity().id), world.directory.path().join("outside"));
    fs::create_dir_all(&home).expect("made");
    fs::create_dir_all(&outside).expect("made");
    symlink(&outside, home.join(".keys")).expect("linked");
    let problem = refusal(world.play(plan::create(false), Network::None, Saboteur::default()).await);
    assert!(problem.message.contains("a link or something of another kind"), "{problem}");
    assert_eq!(fs::read_dir(&outside).expect("read").count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sandboxes_projects_are_known() {
    let (world, _) = made().await;
    let other = Identity { id: "other-00000000".to_owned(), project: "/nowhere".to_owned(), ..world.identity() };
    let inside = format!("{}/.git", world.identity().project);
    let request = SandboxConfig { read_only_mounts: Some(vec![inside]), ..SandboxConfig::default() };
    let settings = settings::load(&world.daemon.paths, "/nowhere", &request).expect("valid");
    let problem = plan(&world.daemon, &other, &settings).expect_err("another sandbox writes there");
    assert!(problem.message.contains("another sandbox"), "{problem}");
    let own = plan(&world.daemon, &world.identity(), &settings).expect_err("its own project");
    assert!(own.message.contains("is in the project"), "{own}");
}
