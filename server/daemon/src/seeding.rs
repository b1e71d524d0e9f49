//! Writes what Claude Code finds in a sandbox's configuration directory.

use std::path::Path;

use boxwood_core::paths::Paths;
use boxwood_core::seed::{self, AccessToken, KEY_FILE, Seeded};
use boxwood_protocol::params::Credentials;

use crate::error::Result;
use crate::lifecycle::spec::CLAUDE_CONFIG;
use crate::{files, sys};

/// Seeds the configuration in `home`. What Claude wrote there stays; a file that Claude could not read is kept as
/// `*.broken` beside a new one. Gives what the person should know.
pub(crate) fn seed(
    paths: &Paths,
    home: &Path,
    workspace: &str,
    credentials: Option<&Credentials>,
    host_login: bool,
) -> Result<Vec<String>> {
    let directory = home.join(".claude");
    let mut warnings = Vec::new();
    let mut put = |name: &str, seeded: &dyn Fn(Option<&str>) -> Seeded| -> Result<()> {
        let path = directory.join(name);
        let before = files::read(&path)?;
        let seeded = seeded(before.as_deref());
        if let Some(before) = before.filter(|_| seeded.is_replacing_broken) {
            files::write(&directory.join(format!("{name}.broken")), before.as_bytes())?;
            warnings.push(format!("{} could not be read and was kept as {name}.broken", path.display()));
        }
        files::write_if_different(&path, seeded.contents.as_bytes())
    };
    put(".claude.json", &|before| seed::claude_json(before, workspace))?;
    put("settings.json", &|before| seed::settings(before, CLAUDE_CONFIG, credentials))?;
    if let Some(key) = credentials.and_then(seed::key_file) {
        files::write_if_different(&directory.join(KEY_FILE), key.as_bytes())?;
    }
    let token = credentials
        .and_then(|credentials| credentials.oauth_token.as_deref())
        .map(AccessToken::from_environment)
        .or_else(|| if host_login { host_token(paths) } else { None });
    if host_login && token.is_none() {
        warnings.push(
            "the login of Claude Code on this machine could not be used: sign in there, or inside with /login"
                .to_owned(),
        );
    }
    let path = directory.join(".credentials.json");
    let before = files::read(&path)?;
    if let Some(contents) = seed::access_token_file(before.as_deref(), token.as_ref()) {
        files::write_if_different(&path, contents.as_bytes())?;
    }
    if credentials.and_then(|credentials| credentials.base_url.as_deref()).is_some_and(is_loopback) {
        warnings.push(
            "ANTHROPIC_BASE_URL points at this machine's loopback, which a sandbox cannot reach; give an address of the machine instead"
                .to_owned(),
        );
    }
    Ok(warnings)
}

fn host_token(paths: &Paths) -> Option<AccessToken> {
    let directory = std::env::var_os("CLAUDE_CONFIG_DIR").map_or_else(|| paths.home.join(".claude"), Into::into);
    let contents = files::read(&directory.join(".credentials.json")).ok()??;
    AccessToken::from_host_file(&contents, sys::now_ms())
}

fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    ["localhost", "127.", "[::1]"].iter().any(|loopback| host.starts_with(loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_kept_and_secrets_are_private() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join(".claude");
        std::fs::create_dir(&directory).expect("made");
        std::fs::write(directory.join(".claude.json"), "").expect("written");
        let paths = Paths::resolve(&|_| None, 0);
        let credentials = Credentials {
            api_key: Some("sk-test".into()),
            base_url: Some("http://127.0.0.1:1".into()),
            ..Credentials::default()
        };
        let warnings = seed(&paths, home.path(), "/w", Some(&credentials), false).expect("seeded");
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(directory.join(".claude.json.broken").exists());
        let key = directory.join(KEY_FILE);
        assert_eq!(std::fs::read_to_string(&key).expect("read"), "sk-test");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }
}
