//! Directories that are given to no sandbox whole.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;

use boxwood_e2e::World;
use boxwood_protocol::ErrorCode;

#[test]
fn the_system_home_keys_and_the_products_own_state_are_refused() {
    let world = World::new();
    let _ = world.list();
    let mut places: Vec<std::path::PathBuf> = [
        "/", "/etc", "/usr", "/var", "/home", "/root", "/tmp", "/proc", "/sys", "/dev", "/boot", "/etc/ssl", "/dev/shm",
    ]
    .map(Into::into)
    .to_vec();
    places.extend([
        world.home(),
        world.state(),
        world.state().join("sandboxes"),
        world.runtime(),
        world.root().join("config"),
        world.root(),
    ]);
    for secret in [".ssh", ".gnupg", ".aws", ".claude", ".docker", ".kube", ".config/gh"] {
        let place = world.home().join(secret);
        fs::create_dir_all(&place).expect("made");
        places.push(place);
    }
    for place in places.iter().filter(|place| fs::read_dir(place).is_ok()) {
        let done = world.boxwood([OsStr::new("start"), OsStr::new("--json"), place.as_os_str()]).run();
        assert_ne!(done.status, 0, "{} was given to a sandbox", place.display());
        let error = done.refused(ErrorCode::ProjectForbidden);
        assert!(error.message.contains(&*place.canonicalize().expect("there").to_string_lossy()), "{error}");
    }
    assert!(world.has_no_container());
    assert!(world.list().is_empty());
}

#[test]
fn a_link_to_such_a_place_is_refused_too() {
    let world = World::new();
    let link = world.root().join("link");
    for place in [world.home(), "/etc".into(), "/".into()] {
        symlink(&place, &link).expect("a link");
        let _ = world
            .boxwood([OsStr::new("start"), OsStr::new("--json"), link.as_os_str()])
            .within(world.root())
            .run()
            .refused(ErrorCode::ProjectForbidden);
        let roundabout = world.project().join("..").join("link");
        let _ = world
            .boxwood([OsStr::new("start"), OsStr::new("--json"), roundabout.as_os_str()])
            .run()
            .refused(ErrorCode::ProjectForbidden);
        fs::remove_file(&link).expect("removed");
    }
}

#[test]
fn a_project_in_the_home_directory_is_fine() {
    let world = World::new();
    let project = world.home().join("project");
    fs::create_dir(&project).expect("made");
    let _ = world.boxwood([OsStr::new("start"), OsStr::new("--json"), project.as_os_str()]).run().ok();
}
