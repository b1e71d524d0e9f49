//! Which terminal type the multiplexer may believe in.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Nearly every terminal of today understands it, and the runtime volume describes it.
pub(crate) const FALLBACK: &str = "xterm-256color";

/// Where the bundled multiplexer looks without any variable set: what Debian compiles into its ncurses.
const SYSTEM: [&str; 3] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];

/// The terminal type to use: the given one if something describes it and it can show a full screen.
pub(crate) fn usable_type(term: Option<&OsStr>, home: Option<&OsStr>, bundled: &Path) -> String {
    let Some(term) = term.and_then(OsStr::to_str).filter(|term| is_a_name(term)) else {
        return FALLBACK.to_owned();
    };
    let home = home.map(|home| Path::new(home).join(".terminfo"));
    let mut places = home.into_iter().chain(SYSTEM.iter().map(PathBuf::from)).chain([bundled.to_path_buf()]);
    let is_described = places.any(|place| is_described_in(&place, term));
    if is_described { term.to_owned() } else { FALLBACK.to_owned() }
}

/// A type is used as a file name. `dumb` and `unknown` have descriptions, but none a multiplexer can draw with.
fn is_a_name(term: &str) -> bool {
    !matches!(term, "" | "dumb" | "unknown")
        && !term.starts_with('.')
        && term.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
}

/// Descriptions are filed under their first letter, on some systems under its code in hex.
fn is_described_in(place: &Path, term: &str) -> bool {
    let first = OsStr::new(term).as_bytes().first().copied().unwrap_or_default();
    place.join(char::from(first).to_string()).join(term).exists()
        || place.join(format!("{first:02x}")).join(term).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_used_only_if_described() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for name in ["a/alacritty-of-test", "7a/zz-of-test", "d/dumb"] {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().expect("parent")).expect("directory");
            std::fs::write(file, "").expect("file");
        }
        let check = |term: Option<&str>, expected: &str| {
            assert_eq!(usable_type(term.map(OsStr::new), None, dir.path()), expected);
        };
        check(Some("alacritty-of-test"), "alacritty-of-test");
        check(Some("zz-of-test"), "zz-of-test");
        check(Some("never-heard-of"), FALLBACK);
        check(Some("dumb"), FALLBACK);
        check(Some(""), FALLBACK);
        check(Some("../a/alacritty-of-test"), FALLBACK);
        check(None, FALLBACK);
    }

    #[test]
    fn a_persons_own_descriptions_count() {
        let home = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(home.path().join(".terminfo/m")).expect("directory");
        std::fs::write(home.path().join(".terminfo/m/my-terminal"), "").expect("file");
        let found = usable_type(Some("my-terminal".as_ref()), Some(home.path().as_os_str()), Path::new("/nowhere"));
        assert_eq!(found, "my-terminal");
    }
}
