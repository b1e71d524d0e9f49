//! The macOS Keychain's item, against a program that behaves as the system's `security` does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tests::{contract, get, secret};
use super::*;

/// Items are files of hexadecimal digits; what it is called with is written down; `locked` and `hangs` are what they say.
const PROGRAM: &str = r#"#!/usr/bin/env bash
set -u
root=${0%/*}
printf '%s\n' "$*" >>"$root/calls"
[ ! -e "$root/hangs" ] || exec sleep 600
[ ! -e "$root/status" ] || exit "$(cat "$root/status")"
[ ! -e "$root/locked" ] || exit 36
account= service= hex= print=
options() {
  while [ $# -gt 0 ]; do
    case $1 in
      -a) account=$2; shift ;;
      -s) service=$2; shift ;;
      -X) hex=$2; shift ;;
      -w) print=1 ;;
      -U) ;;
      *) exit 2 ;;
    esac
    shift
  done
  item="$root/items/$account $service"
}
case $1 in
  find-generic-password)
    shift; options "$@"
    [ -e "$item" ] || { echo 'SecKeychainSearchCopyNext: The specified item could not be found in the keychain.' >&2; exit 44; }
    hex=$(cat "$item")
    escaped=$(printf '%s' "$hex" | sed 's/../\\x&/g')
    # Other than plain characters are printed in hexadecimal digits.
    if [ "$(printf "$escaped" | LC_ALL=C tr -d '[:print:]' | wc -c)" -gt 0 ]; then printf '%s\n' "$hex"; else printf "$escaped\n"; fi
    ;;
  delete-generic-password)
    shift; options "$@"
    [ -e "$item" ] || exit 44
    rm "$item"
    ;;
  -i)
    # It reads lines of at most 4095 bytes, and takes the rest of a longer one for another command.
    IFS= read -r line
    [ ${#line} -lt 4095 ] || exit 2
    eval "set -- $line"
    [ "$1" = add-generic-password ] || exit 2
    shift; options "$@"
    [ -e "$root/full" ] || printf '%s' "$hex" >"$item"
    ;;
  *) exit 2 ;;
esac
"#;

/// Puts the program there.
pub(in crate::credentials) fn program(root: &Path) -> PathBuf {
    fs::create_dir_all(root.join("items")).expect("made");
    let program = root.join("security");
    fs::write(&program, PROGRAM).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    program
}

struct Keychain {
    root: tempfile::TempDir,
    security: Security,
}

impl Keychain {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let security = Security::of_program(program(root.path()), "u.ser", Duration::from_secs(20));
        Self { root, security }
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.root.path().join(name), text).expect("written");
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let keychain = Keychain::new();
    contract(&keychain.security).await;
    let calls = fs::read_to_string(keychain.root.path().join("calls")).expect("written down");
    assert!(calls.contains("find-generic-password -a u.ser -w -s one"), "{calls}");
    for value in ["value", "another", "replaced", "61206", "xxx", "7878"] {
        assert!(!calls.contains(value), "no value is an argument: {calls}");
    }
}

#[tokio::test]
async fn a_locked_keychain_and_other_ends_are_told_apart() {
    let keychain = Keychain::new();
    keychain.security.set("one", &secret("x")).await.expect("kept");
    keychain.put("locked", "");
    assert_eq!(get(&keychain.security, "one").await, Err(Failure::Locked));
    assert_eq!(keychain.security.set("one", &secret("y")).await, Err(Failure::Locked));
    assert_eq!(keychain.security.delete("one").await, Err(Failure::Locked));
    fs::remove_file(keychain.root.path().join("locked")).expect("removed");
    for (status, expected) in [("51", true), ("128", true), ("1", false), ("2", false)] {
        keychain.put("status", status);
        let found = get(&keychain.security, "one").await;
        assert_eq!(found == Err(Failure::Locked), expected, "{status} {found:?}");
        assert!(found.is_err());
    }
    fs::remove_file(keychain.root.path().join("status")).expect("removed");
    assert_eq!(get(&keychain.security, "one").await, Ok(Some("x".to_owned())));
}

#[tokio::test]
async fn what_was_not_taken_is_noticed() {
    let keychain = Keychain::new();
    keychain.put("full", "");
    assert!(matches!(keychain.security.set("one", &secret("x")).await, Err(Failure::Unreadable(_))));
    // Nothing is cut, and nothing takes the way that everybody sees.
    let long = "s3cret".repeat(400);
    let told = keychain.security.set("one", &secret(&long)).await.expect_err("too long").to_string();
    assert!(!told.contains("s3cret"));
    let calls = fs::read_to_string(keychain.root.path().join("calls")).expect("written down");
    assert_eq!(calls.lines().collect::<Vec<_>>(), ["-i", "find-generic-password -a u.ser -w -s one"]);
}

#[tokio::test]
async fn names_that_would_be_commands_are_refused() {
    let keychain = Keychain::new();
    for name in ["", "a\"b", "a\nb", "$(id)", "-w"] {
        assert!(matches!(keychain.security.set(name, &secret("x")).await, Err(Failure::Unreadable(_))), "{name}");
        assert!(matches!(get(&keychain.security, name).await, Err(Failure::Unreadable(_))), "{name}");
    }
    assert!(!keychain.root.path().join("calls").exists());
}

#[tokio::test]
async fn a_program_that_hangs_or_is_missing_is_not_waited_for() {
    let root = tempfile::tempdir().expect("a directory");
    let security = Security::of_program(program(root.path()), "u", Duration::from_millis(500));
    fs::write(root.path().join("hangs"), "").expect("written");
    assert_eq!(get(&security, "one").await, Err(Failure::Locked));
    let missing = Security::of_program(root.path().join("none"), "u", Duration::from_secs(5));
    assert!(matches!(get(&missing, "one").await, Err(Failure::Absent(_))));
}
