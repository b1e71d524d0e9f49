//! Writes what Claude Code finds in a sandbox's configuration directory.

use std::path::Path;

use boxwood_core::config::Resolved;
use boxwood_core::egress::{self, EndpointError};
use boxwood_core::paths::Paths;
use boxwood_core::seed::{self, AccessToken, KEY_FILE, Seeded};
use boxwood_protocol::config::Network;
use boxwood_protocol::params::Credentials;

use crate::claude_directory::{ClaudeDirectory, Found};
use crate::error::Result;
use crate::lifecycle::spec::CLAUDE_CONFIG;
use crate::{files, sys};

/// Claude's login, in its directory.
const LOGIN_FILE: &str = ".credentials.json";

/// Seeds the configuration in `home`. What Claude wrote there stays; a file that Claude could not read is kept as
/// `*.broken` beside a new one. Gives what the person should know.
pub(crate) fn seed(
    paths: &Paths,
    home: &Path,
    workspace: &str,
    credentials: Option<&Credentials>,
    settings: Option<&Resolved>,
) -> Result<Vec<String>> {
    let directory = ClaudeDirectory::open(home)?;
    let (credentials, problem) =
        credentials.map(|credentials| reached(credentials, settings.map(|settings| settings.network))).unzip();
    let (credentials, host_login) = (credentials.as_ref(), settings.is_some_and(|settings| settings.host_login));
    let mut warnings = Vec::from_iter(problem.flatten());
    let mut put = |name: &str, seeded: &dyn Fn(Option<&str>) -> Seeded| -> Result<()> {
        let (before, is_too_large) = match directory.read(name)? {
            Found::Text(text) => (Some(text), false),
            Found::Nothing => (None, false),
            Found::TooLarge => (None, true),
        };
        let seeded = seeded(before.as_deref());
        if seeded.is_replacing_broken || is_too_large {
            directory.rename(name, &format!("{name}.broken"))?;
            let path = directory.path(name);
            warnings.push(format!("{} could not be read and was kept as {name}.broken", path.display()));
        }
        directory.write_if_different(name, &seeded.contents)
    };
    put(".claude.json", &|before| seed::claude_json(before, workspace))?;
    put("settings.json", &|before| seed::settings(before, CLAUDE_CONFIG, credentials))?;
    if let Some(key) = credentials.and_then(seed::key_file) {
        directory.write_if_different(KEY_FILE, key)?;
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
    let before = match directory.read(LOGIN_FILE)? {
        Found::Text(text) => Some(text),
        Found::Nothing | Found::TooLarge => None,
    };
    if let Some(contents) = seed::access_token_file(before.as_deref(), token.as_ref()) {
        directory.write_if_different(LOGIN_FILE, &contents)?;
    }
    Ok(warnings)
}

fn host_token(paths: &Paths) -> Option<AccessToken> {
    let directory = std::env::var_os("CLAUDE_CONFIG_DIR").map_or_else(|| paths.home.join(".claude"), Into::into);
    let contents = files::read(&directory.join(".credentials.json")).ok()??;
    AccessToken::from_host_file(&contents, sys::now_ms())
}

/// The credentials with the API's URL as it is inside, and what is wrong with that.
fn reached(credentials: &Credentials, network: Option<Network>) -> (Credentials, Option<String>) {
    let Some(url) = credentials.base_url.as_deref() else { return (credentials.clone(), None) };
    match (egress::endpoint(url), network) {
        (Ok(endpoint), Some(Network::Gateway)) => {
            (Credentials { base_url: Some(endpoint.url), ..credentials.clone() }, None)
        }
        (Ok(_), _) => (credentials.clone(), None),
        (Err(EndpointError::TlsWithAddress | EndpointError::Ipv6), Some(Network::Open)) => (credentials.clone(), None),
        (Err(problem), _) => (credentials.clone(), Some(format!("ANTHROPIC_BASE_URL {problem}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_gateway_an_api_at_an_address_has_a_name() {
        let url = |url: &str| Credentials { base_url: Some(url.to_owned()), ..Credentials::default() };
        for (given, network, inside, warns) in [
            ("http://172.17.0.1:4000", Some(Network::Gateway), "http://endpoint.boxwood.internal:4000", false),
            ("http://172.17.0.1:4000", Some(Network::Open), "http://172.17.0.1:4000", false),
            ("https://172.17.0.1", Some(Network::Gateway), "https://172.17.0.1", true),
            ("https://172.17.0.1", Some(Network::Open), "https://172.17.0.1", false),
            ("https://api.example.com", Some(Network::Gateway), "https://api.example.com", false),
            ("http://localhost:1", Some(Network::Open), "http://localhost:1", true),
        ] {
            let (credentials, problem) = reached(&url(given), network);
            assert_eq!((credentials.base_url.as_deref(), problem.is_some()), (Some(inside), warns), "{given}");
        }
    }

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
        let warnings = seed(&paths, home.path(), "/w", Some(&credentials), None).expect("seeded");
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
