//! Claude Code's files as they may stand on a machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use serde_json::json;

use super::super::store::security_tests;
use super::*;

pub(in crate::credentials) const ACCOUNT: &str = "00000000-0000-4000-8000-000000000001";

/// A login as Claude Code writes it.
pub(in crate::credentials) fn credentials(number: u32, ends_ms: i64) -> String {
    json!({
        "claudeAiOauth": {
            "accessToken": format!("sk-ant-oat01-access-{number}"),
            "refreshToken": format!("sk-ant-ort01-refresh-{number}"),
            "expiresAt": ends_ms,
            "refreshTokenExpiresAt": ends_ms,
            "scopes": ["user:inference"],
        },
        "mcpOAuth": { "other": { "accessToken": "s3cret-of-another" } },
        "unknown": [1, 2],
    })
    .to_string()
}

struct Home {
    root: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join(".claude")).expect("made");
        Self { root }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn claude(&self, variables: &[(&str, &str)]) -> Claude {
        Claude::places(self.path(), &lookup(variables))
    }
}

fn lookup(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |asked| variables.iter().find(|(name, _)| name == asked).map(|(_, value)| value.clone())
}

fn access(login: &Login) -> String {
    login.file.access_token().expect("a token").reveal().to_owned()
}

#[tokio::test]
async fn a_login_is_read_whole_with_its_account() {
    let home = Home::new();
    assert!(home.claude(&[]).login().await.expect("read").is_none());
    home.put(".claude/.credentials.json", &credentials(1, 9_000_000_000_000));
    let state = json!({ "oauthAccount": { "accountUuid": ACCOUNT, "emailAddress": "me@mail.example" } }).to_string();
    home.put(".claude.json", &state);
    let login = home.claude(&[]).login().await.expect("read").expect("there");
    assert_eq!(access(&login), "sk-ant-oat01-access-1");
    assert_eq!(login.view().account.expect("an account").as_str(), ACCOUNT);
    assert!(login.place.ends_with("/.claude/.credentials.json"));
    let text = login.file.render();
    assert!(text.reveal().contains("mcpOAuth") && text.reveal().contains(r#""unknown":[1,2]"#), "all of it is kept");
    // What older versions wrote comes first where it is, unless it is empty; one that is broken says nothing.
    home.put(".claude/.config.json", "");
    assert!(home.claude(&[]).login().await.expect("read").expect("there").account.id.is_some());
    home.put(".claude/.config.json", r#"{"oauthAccount":{"emailAddress":"old@mail.example"}}"#);
    let login = home.claude(&[]).login().await.expect("read").expect("there");
    assert_eq!((login.account.email.as_deref(), login.account.id), (Some("old@mail.example"), None));
    assert!(!format!("{:?}", login.file).contains("sk-ant"));
}

#[tokio::test]
async fn its_variables_say_where_its_files_are() {
    let home = Home::new();
    let (other, store) = (home.path().join("other"), home.path().join("store"));
    home.put(".claude/.credentials.json", &credentials(1, 0));
    home.put("other/.credentials.json", &credentials(2, 0));
    home.put("store/.credentials.json", &credentials(3, 0));
    home.put("other/.claude.json", r#"{"oauthAccount":{"emailAddress":"inside@mail.example"}}"#);
    home.put(".claude.json", r#"{"oauthAccount":{"emailAddress":"beside@mail.example"}}"#);
    let (other, store) = (other.to_string_lossy().into_owned(), store.to_string_lossy().into_owned());
    let check = async |variables: &[(&str, &str)], token: u32, email: &str| {
        let login = home.claude(variables).login().await.expect("read").expect("there");
        assert_eq!(access(&login), format!("sk-ant-oat01-access-{token}"), "{variables:?}");
        assert_eq!(login.account.email.as_deref(), Some(email), "{variables:?}");
    };
    check(&[], 1, "beside@mail.example").await;
    check(&[("CLAUDE_CONFIG_DIR", &other)], 2, "inside@mail.example").await;
    check(&[("CLAUDE_CONFIG_DIR", "")], 1, "beside@mail.example").await;
    check(&[("CLAUDE_SECURESTORAGE_CONFIG_DIR", &store)], 3, "beside@mail.example").await;
    check(&[("CLAUDE_CONFIG_DIR", &other), ("CLAUDE_SECURESTORAGE_CONFIG_DIR", &store)], 3, "inside@mail.example")
        .await;
    check(&[("CLAUDE_CONFIG_DIR", &other), ("CLAUDE_SECURESTORAGE_CONFIG_DIR", "")], 1, "inside@mail.example").await;
    let claude = home.claude(&[("CLAUDE_CONFIG_DIR", &other), ("CLAUDE_SECURESTORAGE_CONFIG_DIR", &store)]);
    assert_eq!((claude.directory(), claude.storage()), (Path::new(&other), Path::new(&store)));
}

#[test]
fn the_keychains_item_has_the_name_that_claude_code_gives_it() {
    let check = |variables: &[(&str, &str)], expected: &str| {
        assert_eq!(service(&lookup(variables)), format!("Claude Code-credentials{expected}"), "{variables:?}");
    };
    check(&[], "");
    check(&[("CLAUDE_CONFIG_DIR", "")], "");
    // The first digits of what 'printf %s /x | sha256sum' prints.
    check(&[("CLAUDE_CONFIG_DIR", "/x")], "-b3d1db31");
    check(&[("CLAUDE_CONFIG_DIR", "/y"), ("CLAUDE_SECURESTORAGE_CONFIG_DIR", "/x")], "-b3d1db31");
    check(&[("CLAUDE_CONFIG_DIR", "/x"), ("CLAUDE_SECURESTORAGE_CONFIG_DIR", "")], "");
    // However an accent is written.
    check(&[("CLAUDE_CONFIG_DIR", "/Z\u{fc}rich")], "-232915fe");
    check(&[("CLAUDE_CONFIG_DIR", "/Zu\u{308}rich")], "-232915fe");
    let check = |variables: &[(&str, &str)], expected: &str| assert_eq!(account(&lookup(variables)), expected);
    check(&[("USER", "u.ser-1")], "u.ser-1");
    check(&[("USER", ""), ("LOGNAME", "other")], "other");
    check(&[("USER", "two words"), ("LOGNAME", "other")], "claude-code-user");
    check(&[], "claude-code-user");
}

#[tokio::test]
async fn on_macos_the_keychains_item_comes_before_the_file() {
    let home = Home::new();
    let keychain = home.path().join("keychain");
    fs::create_dir(&keychain).expect("made");
    let security = Security::of_program(security_tests::program(&keychain), "u", Duration::from_secs(20));
    home.put(".claude/.credentials.json", &credentials(1, 0));
    let claude = Claude::with_keychain(home.path(), &lookup(&[]), security.clone());
    assert_eq!(access(&claude.login().await.expect("read").expect("there")), "sk-ant-oat01-access-1");
    let item = Claude::find(home.path(), &lookup(&[("USER", "u")]));
    assert_eq!(item.keychain.is_some(), cfg!(target_os = "macos"));
    security.set(KEYCHAIN, &boxwood_core::credentials::Secret::new(credentials(2, 0))).await.expect("kept");
    let login = claude.login().await.expect("read").expect("there");
    assert_eq!(access(&login), "sk-ant-oat01-access-2");
    assert_eq!(login.place, "the Keychain's item 'Claude Code-credentials'");
    security.set(KEYCHAIN, &boxwood_core::credentials::Secret::new("s3cret".into())).await.expect("kept");
    let trouble = claude.login().await.expect_err("no login");
    assert!(trouble.problem == Problem::Unreadable && !trouble.reason.contains("s3cret"), "{trouble:?}");
    fs::write(keychain.join("locked"), "").expect("written");
    assert_eq!(claude.login().await.expect_err("locked").problem, Problem::Locked);
}

#[tokio::test]
async fn what_is_no_credential_file_is_told_and_not_repeated() {
    let home = Home::new();
    let file = home.path().join(".claude/.credentials.json");
    let whole = credentials(1, 0);
    let broken: [(&[u8], &str); 7] = [
        (b"", "empty"),
        (&whole.as_bytes()[..120], "cut off"),
        (b"sk-ant-oat01-s3cret", "not valid JSON"),
        (br#"["sk-ant-oat01-s3cret"]"#, "not a JSON object"),
        (br#"{"claudeAiOauth":{"accessToken":["sk-ant-oat01-s3cret"]}}"#, "accessToken"),
        (br#"{"claudeAiOauth":"sk-ant-oat01-s3cret"}"#, "claudeAiOauth"),
        (b"\xff\xfe", "not text"),
    ];
    let told = async |expected: &str| {
        let trouble = home.claude(&[]).login().await.expect_err(expected);
        assert_eq!(trouble.problem, Problem::Unreadable);
        assert!(trouble.reason.contains(expected) && !trouble.reason.contains("sk-ant"), "{trouble:?}");
        assert!(trouble.reason.contains(".credentials.json"), "{trouble:?}");
    };
    for (bytes, expected) in broken {
        fs::write(&file, bytes).expect("written");
        told(expected).await;
    }
    fs::File::create(&file).and_then(|file| file.set_len(1 << 30)).expect("made");
    told("larger than").await;
    fs::remove_file(&file).expect("removed");
    fs::write(home.path().join("elsewhere"), &whole).expect("written");
    symlink(home.path().join("elsewhere"), &file).expect("linked");
    told("link").await;
    fs::remove_file(&file).expect("removed");
    assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo").success());
    told("no file").await;
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("made");
    told("no file").await;
}

#[tokio::test]
async fn the_directory_itself_may_be_a_link_that_the_person_made() {
    let home = Home::new();
    home.put("dotfiles/.credentials.json", &credentials(4, 0));
    fs::remove_dir(home.path().join(".claude")).expect("removed");
    symlink(home.path().join("dotfiles"), home.path().join(".claude")).expect("linked");
    assert_eq!(access(&home.claude(&[]).login().await.expect("read").expect("there")), "sk-ant-oat01-access-4");
}

#[tokio::test]
async fn a_login_home_has_nothing_followed_out_of_it() {
    let home = Home::new();
    let logins = home.path().join("logins");
    home.put("logins/mine/.claude/.credentials.json", &credentials(5, 0));
    home.put("logins/mine/.claude/.claude.json", r#"{"oauthAccount":{"emailAddress":"in@mail.example"}}"#);
    let login = login_home(&logins, "mine").await.expect("read").expect("there");
    assert_eq!(
        (access(&login).as_str(), login.account.email.as_deref()),
        ("sk-ant-oat01-access-5", Some("in@mail.example"))
    );
    for name in ["", ".", "..", "../logins/mine", "none", "mine/.claude"] {
        assert!(login_home(&logins, name).await.expect(name).is_none(), "{name}");
    }
    // What runs with a login home can put a link to the host's own login there.
    home.put(".claude/.credentials.json", &credentials(6, 0));
    fs::rename(logins.join("mine/.claude"), logins.join("mine/aside")).expect("renamed");
    symlink(home.path().join(".claude"), logins.join("mine/.claude")).expect("linked");
    assert_eq!(login_home(&logins, "mine").await.expect_err("a link").problem, Problem::Unreadable);
}

#[tokio::test]
async fn the_helper_is_read_from_the_persons_own_settings() {
    let home = Home::new();
    assert_eq!(home.claude(&[]).key_helper().await, Ok(None));
    home.put(".claude/settings.json", r#"{"apiKeyHelper":"pass show key","more":1}"#);
    assert_eq!(home.claude(&[]).key_helper().await, Ok(Some("pass show key".to_owned())));
    home.put(".claude/settings.json", "{");
    assert_eq!(home.claude(&[]).key_helper().await, Ok(None));
    let settings = home.path().join(".claude/settings.json");
    fs::write(&settings, b"\xff").expect("written");
    assert!(home.claude(&[]).key_helper().await.expect_err("not text").reason.contains("settings.json"));
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o600)).expect("set");
}
