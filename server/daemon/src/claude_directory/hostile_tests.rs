//! What an agent can make of the directory, and that whoever needs it can go on.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

fn home() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("home")).expect("made");
    root
}

#[test]
fn a_directory_in_the_place_of_a_file_is_put_aside_by_whatever_needs_the_name() {
    let root = home();
    let directory = ClaudeDirectory::open(&root.path().join("home")).expect("opened");
    let other = ClaudeDirectory::open(root.path()).expect("opened");
    let taken = |directory: &ClaudeDirectory, name: &str| {
        fs::create_dir_all(directory.path(name).join("inner")).expect("made");
    };
    taken(&directory, "written");
    directory.write_if_different("written", "text").expect("written");
    assert!(matches!(directory.read("written"), Ok(Found::Text(text)) if text == "text"));
    taken(&directory, "renamed");
    directory.rename("written", "renamed").expect("renamed");
    taken(&other, "renamed");
    assert!(directory.move_to("renamed", &other).expect("moved"));
    assert!(matches!(other.read("renamed"), Ok(Found::Text(text)) if text == "text"));
    taken(&directory, "removed");
    directory.remove("removed").expect("removed");
    assert!(!directory.path("removed").exists());
    let aside = fs::read_dir(directory.path(".")).expect("there").flatten();
    assert_eq!(aside.filter(|entry| entry.path().join("inner").is_dir()).count(), 3, "nothing is lost");
}

#[test]
fn nothing_large_is_copied_to_the_host() {
    let root = home();
    let directory = ClaudeDirectory::open(&root.path().join("home")).expect("opened");
    // It takes no room until somebody copies it.
    fs::File::create(directory.path("x")).and_then(|file| file.set_len(1 << 40)).expect("made");
    let copy = root.path().join("copy");
    assert!(directory.copy_out("x", &copy).expect("copied"));
    assert_eq!(fs::metadata(copy).expect("there").size(), MOST);
}

#[test]
fn modes_keep_nobody_out() {
    let root = home();
    let home = root.path().join("home");
    let directory = ClaudeDirectory::open(&home).expect("opened");
    directory.write_if_different("x", "text").expect("written");
    let outside = root.path().join("outside");
    fs::write(&outside, "of the host").expect("written");
    std::os::unix::fs::symlink(&outside, directory.path("link")).expect("linked");
    for path in [&outside, &directory.path("x"), &home.join(NAME), &home] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("set");
    }
    let directory = ClaudeDirectory::open(&home).expect("opened all the same");
    assert!(matches!(directory.read("x"), Ok(Found::Text(text)) if text == "text"));
    assert!(matches!(directory.read("link"), Ok(Found::Nothing)));
    directory.write_if_different("y", "more").expect("written");
    let mode = fs::metadata(&outside).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o000, "what a link leads to is as it was");
}

#[test]
fn what_has_a_locks_name_and_is_none_keeps_nobody_from_taking_it() {
    let root = home();
    let directory = ClaudeDirectory::open(&root.path().join("home")).expect("opened");
    let [write, refresh] = locks::NAMES.map(|name| directory.path(name));
    directory.free_locks().expect("nothing to do");
    fs::create_dir(&write).expect("made");
    fs::write(&refresh, "").expect("written");
    directory.free_locks().expect("freed");
    assert!(write.is_dir() && !refresh.exists(), "one that is held stays");
    fs::create_dir(write.join("inner")).expect("made");
    std::os::unix::fs::symlink("nowhere", &refresh).expect("linked");
    directory.free_locks().expect("freed");
    assert!(!write.exists() && !refresh.is_symlink());
}
