//! What the host's own files of Claude Code say beside its credential file: whose login it is, and the helper for keys.

use serde_json::Value;

use super::view::{AccountId, View};

/// Longest command that is taken for a helper, bytes.
const MAX_COMMAND: usize = 4096;

/// Whose login it is, according to `oauthAccount` in `.claude.json`. Claude Code writes it at sign-in, in versions
/// whose credential file does not say it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAccount {
    /// Id of the account.
    pub id: Option<AccountId>,
    /// Its address. From a file, so it is shown only by [`super::status`].
    pub email: Option<String>,
}

impl HostAccount {
    /// Reads it. A file that cannot be read says nothing.
    #[must_use]
    pub fn read(claude_json: &str) -> Self {
        let file: Value = serde_json::from_str(claude_json).unwrap_or_default();
        let text = |name: &str| file["oauthAccount"][name].as_str();
        Self { id: text("accountUuid").and_then(AccountId::parse), email: text("emailAddress").map(str::to_owned) }
    }

    /// The view of the credential file beside it, with the account filled in where it does not say.
    #[must_use]
    pub fn complete(&self, view: View) -> View {
        // Where nobody is signed in, what stands here is left from somebody who was.
        let account = if view.access.is_some() { view.account.or_else(|| self.id.clone()) } else { view.account };
        View { account, ..view }
    }
}

/// The person's own helper for keys, from the user's `settings.json`. Never from a project's: it is a command that runs on
/// the host.
#[must_use]
pub fn key_helper(user_settings: &str) -> Option<String> {
    let settings: Value = serde_json::from_str(user_settings).ok()?;
    let command = settings["apiKeyHelper"].as_str()?.trim();
    (!command.is_empty() && command.len() <= MAX_COMMAND && !command.contains('\0')).then(|| command.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::testing::{ACCOUNT, NOW, OTHER_ACCOUNT, blank, login};

    #[test]
    fn an_account_is_filled_in_and_never_replaced() {
        let text = format!(r#"{{"oauthAccount":{{"accountUuid":"{ACCOUNT}","emailAddress":"me@mail.example"}}}}"#);
        let host = HostAccount::read(&text);
        assert_eq!(host.email.as_deref(), Some("me@mail.example"));
        let check = |view: View, expected: Option<&str>| {
            let account = host.complete(view).account;
            assert_eq!(account.as_ref().map(AccountId::as_str), expected);
        };
        check(login(1, None, NOW).view(), Some(ACCOUNT));
        check(login(1, Some(OTHER_ACCOUNT), NOW).view(), Some(OTHER_ACCOUNT));
        check(View::absent(), None);
        check(blank(None).view(), None);
        for nothing in ["", "[]", r#"{"oauthAccount":7}"#, r#"{"oauthAccount":{"accountUuid":"x","emailAddress":1}}"#] {
            assert_eq!(HostAccount::read(nothing), HostAccount::default(), "{nothing}");
        }
    }

    #[test]
    fn a_helper_is_a_command() {
        let check = |settings: &str, expected: Option<&str>| assert_eq!(key_helper(settings).as_deref(), expected);
        check(r#"{"apiKeyHelper":" pass show key "}"#, Some("pass show key"));
        for nothing in
            ["", "{}", r#"{"apiKeyHelper":""}"#, r#"{"apiKeyHelper":["x"]}"#, r#"{"apiKeyHelper":"a\u0000b"}"#]
        {
            check(nothing, None);
        }
    }
}
