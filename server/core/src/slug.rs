//! Names of the directories in which Claude Code keeps a project's conversations.
//!
//! Found by running Claude Code 2.1.197 and 2.1.329: every UTF-16 unit outside `[A-Za-z0-9]` becomes a dash, and a
//! name longer than 200 units is cut and followed by a hash of the path.

/// Longest name that is not cut, in UTF-16 units.
const LONGEST: usize = 200;

/// Directory name for the conversations of a project at `path`.
#[must_use]
pub fn project_directory(path: &str) -> String {
    let name: String = path
        .encode_utf16()
        .map(|unit| u8::try_from(unit).ok().filter(u8::is_ascii_alphanumeric).map_or('-', char::from))
        .collect();
    if name.len() <= LONGEST {
        return name;
    }
    let hash = path
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_shl(5).wrapping_sub(hash).wrapping_add(i32::from(unit)));
    format!("{}-{}", &name[..LONGEST], base36(hash.unsigned_abs()))
}

/// The same name, when it can be given to Claude Code through `CLAUDE_CODE_PROJECT_DIR_NAME`, which takes 1 to 64
/// units only.
#[must_use]
pub fn project_directory_override(path: &str) -> Option<String> {
    let name = project_directory(path);
    (1..=64).contains(&name.len()).then_some(name)
}

fn base36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_claude_code_gives() {
        let check = |path: &str, expected: &str| assert_eq!(project_directory(path), expected, "{path}");
        check("/workspace", "-workspace");
        check("/home/u/my_app.v2", "-home-u-my-app-v2");
        check("/x/.hidden", "-x--hidden");
        check("/e\u{301}", "-e-");
        check("/🦀", "---");
        check(r"C:\Users\u\p", "C--Users-u-p");
    }

    #[test]
    fn long_names_are_cut_and_hashed() {
        let exact = format!("/{}", "a".repeat(199));
        assert_eq!(project_directory(&exact).len(), 200);
        let long = format!("/{}", "a".repeat(200));
        let name = project_directory(&long);
        assert!(name.starts_with(&format!("-{}-", "a".repeat(199))), "{name}");
        assert_eq!(project_directory_override(&long), None);
    }
}
