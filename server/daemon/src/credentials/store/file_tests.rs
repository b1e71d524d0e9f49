//! Files as others may have left them.

use std::fs;

use super::file::Files;
#[cfg(unix)]
use super::tests::get;
use super::tests::{contract, secret};
use super::*;

fn files() -> (tempfile::TempDir, Files) {
    let state = tempfile::tempdir().expect("a directory");
    let files = Files::new(state.path());
    (state, files)
}

#[tokio::test]
async fn the_contract_holds() {
    let (_state, files) = files();
    contract(&files).await;
    assert_eq!(files.warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_name_or_too_large_is_refused() {
    let (state, files) = files();
    for name in ["", "..", "../x", "a/b", "A", "x.y"] {
        assert!(matches!(files.get(name).await, Err(Failure::Unreadable(_))), "{name}");
        assert!(matches!(files.set(name, &secret("x")).await, Err(Failure::Unreadable(_))), "{name}");
        assert!(matches!(files.delete(name).await, Err(Failure::Unreadable(_))), "{name}");
    }
    assert!(matches!(files.set("one", &secret(&"s3cret".repeat(20_000))).await, Err(Failure::Unreadable(_))));
    files.set("one", &secret("x")).await.expect("kept");
    fs::write(state.path().join("credentials/one"), "s3cret".repeat(20_000)).expect("written");
    let told = files.get("one").await.expect_err("too large").to_string();
    assert!(told.contains("credentials") && !told.contains("s3cret"), "{told}");
    fs::write(state.path().join("credentials/one"), b"s3cret\xff").expect("written");
    let told = files.get("one").await.expect_err("not text").to_string();
    assert!(told.contains("not text") && !told.contains("s3cret"), "{told}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_person_can_read_them_and_what_others_could_read_is_told() {
        let (state, files) = files();
        files.set("one", &secret("x")).await.expect("kept");
        let (directory, file) = (state.path().join("credentials"), state.path().join("credentials/one"));
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("opened");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("opened");
        assert_eq!(get(&files, "one").await, Ok(Some("x".to_owned())));
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
        let warnings = files.warnings().join("\n");
        assert!(warnings.contains("mode 755") && warnings.contains("mode 644"), "{warnings}");
        assert_eq!(fs::read_dir(&directory).expect("listed").count(), 1, "nothing is left beside it");
    }

    #[tokio::test]
    async fn links_and_pipes_are_not_read_and_give_way_to_files() {
        let (state, files) = files();
        files.set("two", &secret("x")).await.expect("kept");
        let (file, other) = (state.path().join("credentials/one"), state.path().join("other"));
        fs::write(&other, "s3cret of another").expect("written");
        symlink(&other, &file).expect("linked");
        assert!(matches!(files.get("one").await, Err(Failure::Unreadable(_))));
        files.set("one", &secret("mine")).await.expect("kept");
        assert_eq!(fs::read_to_string(&other).expect("read"), "s3cret of another");
        assert_eq!(get(&files, "one").await, Ok(Some("mine".to_owned())));
        files.delete("one").await.expect("forgotten");
        assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo").success());
        assert!(matches!(files.get("one").await, Err(Failure::Unreadable(_))));
        files.delete("one").await.expect("forgotten");
    }

    #[tokio::test]
    async fn a_directory_that_is_a_link_is_refused() {
        let (state, files) = files();
        let other = tempfile::tempdir().expect("a directory");
        fs::write(other.path().join("one"), "s3cret").expect("written");
        symlink(other.path(), state.path().join("credentials")).expect("linked");
        assert!(matches!(files.get("one").await, Err(Failure::Unreadable(_))));
        assert!(matches!(files.set("one", &secret("x")).await, Err(Failure::Unreadable(_))));
        assert!(matches!(files.delete("one").await, Err(Failure::Unreadable(_))));
        assert_eq!(fs::read_to_string(other.path().join("one")).expect("read"), "s3cret");
    }
}
