//! Credential files for tests, made the way Claude Code writes them.

use serde_json::json;

use super::CredentialFile;

pub(super) const ACCOUNT: &str = "00000000-0000-4000-8000-000000000001";
pub(super) const OTHER_ACCOUNT: &str = "00000000-0000-4000-8000-000000000002";
pub(super) const HOUR: i64 = 60 * 60 * 1000;
pub(super) const DAY: i64 = 24 * HOUR;
/// Some moment.
pub(super) const NOW: i64 = 1_795_000_000_000;

/// A login as the `number`th that was made, at `made_ms`: it works for eight hours and can be renewed for thirty days.
pub(super) fn login(number: u32, account: Option<&str>, made_ms: i64) -> CredentialFile {
    let mut login = json!({
        "accessToken": format!("sk-ant-oat01-access-{number}"),
        "refreshToken": format!("sk-ant-ort01-refresh-{number}"),
        "expiresAt": made_ms + 8 * HOUR,
        "refreshTokenExpiresAt": made_ms + 30 * DAY,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    });
    if let Some(account) = account {
        login["accountUuid"] = json!(account);
    }
    file(&json!({ "claudeAiOauth": login }))
}

/// What Claude Code leaves after its refresh token was refused.
pub(super) fn blank(account: Option<&str>) -> CredentialFile {
    let mut login = json!({ "accessToken": "", "refreshToken": "", "expiresAt": 0, "scopes": ["user:inference"] });
    if let Some(account) = account {
        login["accountUuid"] = json!(account);
    }
    file(&json!({ "claudeAiOauth": login }))
}

pub(super) fn file(value: &serde_json::Value) -> CredentialFile {
    CredentialFile::parse(value.to_string().as_bytes()).expect("a credential file")
}
