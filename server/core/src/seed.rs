//! What Claude Code finds in its configuration directory when it first starts in a sandbox.
//!
//! The keys and their effects were found by running Claude Code 2.1.329: with these it begins at its prompt, with no
//! question about theme, trust or permissions. What Claude itself wrote there since is kept.

use boxwood_protocol::params::Credentials;
use serde_json::{Map, Value, json};

/// Name of the file, in the configuration directory, that holds an API key or token for `apiKeyHelper`.
pub const KEY_FILE: &str = ".boxwood-key";

/// A seeded file, and what was wrong with the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// The content to write.
    pub contents: String,
    /// True when the file before could not be read as JSON and is to be kept as a backup beside the new one.
    pub is_replacing_broken: bool,
}

fn object(existing: Option<&str>) -> (Map<String, Value>, bool) {
    match existing {
        None => (Map::new(), false),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => (map, false),
            _ => (Map::new(), true),
        },
    }
}

fn text(map: Map<String, Value>) -> String {
    let mut text = format!("{:#}", Value::Object(map));
    text.push('\n');
    text
}

/// `.claude.json`: onboarding done and the workspace trusted.
#[must_use]
pub fn claude_json(existing: Option<&str>, workspace: &str) -> Seeded {
    let (mut map, is_replacing_broken) = object(existing);
    for key in ["hasCompletedOnboarding", "hasSeenAutoDefaultNotice", "hasSeenAutoDefaultNudge"] {
        map.insert(key.to_owned(), Value::Bool(true));
    }
    let projects = map.entry("projects").or_insert_with(|| json!({}));
    if !projects.is_object() {
        *projects = json!({});
    }
    if let Some(projects) = projects.as_object_mut() {
        let project = projects.entry(workspace).or_insert_with(|| json!({}));
        if !project.is_object() {
            *project = json!({});
        }
        if let Some(project) = project.as_object_mut() {
            project.insert("hasTrustDialogAccepted".to_owned(), Value::Bool(true));
        }
    }
    Seeded { contents: text(map), is_replacing_broken }
}

/// `settings.json`: full autonomy without a warning, and where the API key comes from when there is one.
///
/// `config_directory` is the directory inside the sandbox.
#[must_use]
pub fn settings(existing: Option<&str>, config_directory: &str, credentials: Option<&Credentials>) -> Seeded {
    let (mut map, is_replacing_broken) = object(existing);
    map.insert("skipDangerousModePermissionPrompt".to_owned(), Value::Bool(true));
    if let Some(credentials) = credentials {
        if credentials.api_key.is_some() || credentials.auth_token.is_some() {
            map.insert("apiKeyHelper".to_owned(), json!(format!("cat {config_directory}/{KEY_FILE}")));
        }
        if let Some(url) = &credentials.base_url {
            let env = map.entry("env").or_insert_with(|| json!({}));
            if let Some(env) = env.as_object_mut() {
                env.insert("ANTHROPIC_BASE_URL".to_owned(), json!(url));
            }
        }
    }
    Seeded { contents: text(map), is_replacing_broken }
}

/// Content of [`KEY_FILE`] for the credentials of the client's environment.
#[must_use]
pub fn key_file(credentials: &Credentials) -> Option<&str> {
    credentials.auth_token.as_deref().or(credentials.api_key.as_deref())
}

/// `.credentials.json` holding an access token only: Claude Code uses such a file until the token ends and never
/// refreshes it, so the holder of the refresh token is not logged out.
///
/// `None` when nothing is to be written: no token is offered, or the sandbox has a login of its own.
#[must_use]
pub fn access_token_file(existing: Option<&str>, token: Option<&AccessToken>) -> Option<String> {
    let token = token?;
    let (mut map, _) = object(existing);
    let own_refresh = map.get("claudeAiOauth").and_then(|login| login.get("refreshToken")).and_then(Value::as_str);
    if own_refresh.is_some_and(|refresh| !refresh.is_empty()) {
        return None;
    }
    let mut login = json!({ "accessToken": token.token, "scopes": token.scopes });
    if let Some(expires) = token.expires_at_ms {
        login["expiresAt"] = json!(expires);
    }
    if let Some(subscription) = &token.subscription {
        login["subscriptionType"] = json!(subscription);
    }
    map.insert("claudeAiOauth".to_owned(), login);
    Some(text(map))
}

/// An access token without its refresh token.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// Its scopes; `user:inference` is the one without which Claude Code says it is not logged in.
    pub scopes: Vec<String>,
    /// When it ends, milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
    /// Kind of subscription.
    pub subscription: Option<String>,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken").field("expires_at_ms", &self.expires_at_ms).finish_non_exhaustive()
    }
}

impl AccessToken {
    /// A token from `claude setup-token`, as found in the environment.
    #[must_use]
    pub fn from_environment(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            scopes: vec!["user:inference".to_owned()],
            expires_at_ms: None,
            subscription: None,
        }
    }

    /// The access token in the host's credential file; `None` when the file holds none that is still good at
    /// `now_ms`.
    #[must_use]
    pub fn from_host_file(contents: &str, now_ms: i64) -> Option<Self> {
        let file: Value = serde_json::from_str(contents).ok()?;
        let login = file.get("claudeAiOauth")?;
        let token = login.get("accessToken")?.as_str().filter(|token| !token.is_empty())?;
        let expires_at_ms = login.get("expiresAt").and_then(Value::as_i64);
        if expires_at_ms.is_some_and(|expires| expires <= now_ms) {
            return None;
        }
        let scopes = login.get("scopes").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            token: token.to_owned(),
            scopes: scopes.filter_map(Value::as_str).map(str::to_owned).collect(),
            expires_at_ms,
            subscription: login.get("subscriptionType").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_claude_wrote_is_kept() {
        let before = r#"{"theme":"light","projects":{"/p":{"lastCost":1},"/q":{}},"x":1}"#;
        let after: Value = serde_json::from_str(&claude_json(Some(before), "/p").contents).expect("json");
        assert_eq!(after["theme"], "light");
        assert_eq!(after["projects"]["/p"], json!({"lastCost": 1, "hasTrustDialogAccepted": true}));
        assert_eq!(after["projects"]["/q"], json!({}));
        assert_eq!(after["hasCompletedOnboarding"], true);
    }

    #[test]
    fn seeding_twice_changes_nothing_and_a_broken_file_is_told() {
        let once = claude_json(None, "/p");
        assert_eq!(claude_json(Some(&once.contents), "/p").contents, once.contents);
        assert!(claude_json(Some(""), "/p").is_replacing_broken, "an empty file is fatal for Claude Code");
        assert!(!once.is_replacing_broken);
    }

    #[test]
    fn no_secret_stands_in_settings() {
        let credentials = Credentials {
            api_key: Some("sk-secret".into()),
            base_url: Some("http://h:1".into()),
            ..Credentials::default()
        };
        let settings = settings(None, "/c", Some(&credentials)).contents;
        assert!(!settings.contains("sk-secret") && settings.contains("cat /c/.boxwood-key"), "{settings}");
        assert_eq!(key_file(&credentials), Some("sk-secret"));
        assert!(!format!("{credentials:?}").contains("sk-secret"));
    }

    #[test]
    fn a_refresh_token_never_enters_and_an_own_login_is_never_replaced() {
        let host = r#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"r-secret","expiresAt":2000,"scopes":["user:inference"]},"mcpOAuth":{"x":1}}"#;
        let token = AccessToken::from_host_file(host, 1000).expect("a good token");
        let file = access_token_file(None, Some(&token)).expect("written");
        assert!(file.contains("\"a\"") && !file.contains("r-secret") && !file.contains("mcpOAuth"), "{file}");
        assert_eq!(AccessToken::from_host_file(host, 3000), None, "expired");
        assert_eq!(AccessToken::from_host_file(r#"{"claudeAiOauth":{"accessToken":""}}"#, 0), None, "blanked");
        assert_eq!(access_token_file(Some(host), Some(&token)), None, "the sandbox is logged in by itself");
    }
}
