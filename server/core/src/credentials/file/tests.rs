//! The credential file, read from what Claude Code writes and from what it never would.

use proptest::prelude::*;

use super::*;

/// What Claude Code 2.1.329 writes after a login, with what else may stand beside it.
const REAL: &str = r#"{"claudeAiOauth":{"accessToken":"sk-ant-oat01-access","refreshToken":"sk-ant-ort01-refresh","expiresAt":1795284366595,"refreshTokenExpiresAt":1797847566595,"scopes":["user:inference","user:profile"],"subscriptionType":"max","subscriptionTypeSource":"sign_in","rateLimitTier":"default_claude_max_5x","accountUuid":"00000000-0000-4000-8000-00000000000A","organizationUuid":"00000000-0000-4000-8000-000000000002","later":{"k":"unknown-secret"}},"mcpOAuth":{"x":{"accessToken":"mcp-secret"}},"pluginSecrets":{"p":"plugin-secret"},"trustedDeviceToken":"device-secret","newer":[1,2]}"#;

fn parse(text: &str) -> CredentialFile {
    CredentialFile::parse(text.as_bytes()).expect("a credential file")
}

fn value(file: &CredentialFile) -> Value {
    serde_json::from_str(file.render().reveal()).expect("JSON")
}

#[test]
fn what_is_written_back_is_what_was_read() {
    assert_eq!(parse(REAL).render().reveal(), REAL);
}

#[test]
fn the_state_is_told_from_the_tokens() {
    let check = |login: &str, expected: LoginState| {
        assert_eq!(parse(&format!("{{\"claudeAiOauth\":{login}}}")).view().state, expected, "{login}");
    };
    assert_eq!(parse("{}").view(), View::absent());
    assert_eq!(parse(r#"{"mcpOAuth":{}}"#).view(), View::absent());
    check("null", LoginState::Absent);
    check("{}", LoginState::Stub);
    check(r#"{"subscriptionType":"max"}"#, LoginState::Stub);
    check(r#"{"accessToken":"a"}"#, LoginState::Stub);
    check(r#"{"accessToken":"a","scopes":["org:create_api_key"]}"#, LoginState::Stub);
    check(r#"{"refreshToken":"r","scopes":["user:inference"]}"#, LoginState::Stub);
    check(r#"{"accessToken":"","refreshToken":"","expiresAt":0}"#, LoginState::Blank);
    check(r#"{"accessToken":"a","refreshToken":null,"scopes":["user:inference"]}"#, LoginState::AccessOnly);
    check(r#"{"accessToken":"a","refreshToken":"","scopes":["user:inference"]}"#, LoginState::AccessOnly);
    check(r#"{"accessToken":"a","refreshToken":"r","scopes":["user:inference"]}"#, LoginState::Full);
}

#[test]
fn the_view_has_times_and_account() {
    let view = parse(REAL).view();
    assert_eq!(view.state, LoginState::Full);
    assert_eq!(view.account.as_ref().map(AccountId::as_str), Some("00000000-0000-4000-8000-00000000000a"));
    assert_eq!((view.expires_at_ms, view.refresh_expires_at_ms), (Some(1_795_284_366_595), Some(1_797_847_566_595)));
    let check = |number: &str, expected: Option<i64>| {
        let text = format!(r#"{{"claudeAiOauth":{{"accessToken":"a","expiresAt":{number}}}}}"#);
        let got = CredentialFile::parse(text.as_bytes()).map(|file| file.view().expires_at_ms);
        assert_eq!(got, expected.map(Some).ok_or(FileError::NotATime("expiresAt")), "{number}");
    };
    check("0", Some(0));
    check("1.795284366595e12", Some(1_795_284_366_595));
    for wrong in ["-1", "1.5", "1e300", "9223372036854775807", "18446744073709551615"] {
        check(wrong, None);
    }
}

#[test]
fn what_cannot_be_read_is_told_without_repeating_it() {
    let check = |contents: &[u8], expected: FileError| {
        let problem = CredentialFile::parse(contents).expect_err("no credential file");
        assert_eq!(problem, expected);
        assert!(!format!("{problem} {problem:?}").contains("s3cret"), "{problem}");
    };
    check(b"", FileError::Empty);
    check(b" \n\0", FileError::Malformed { line: 2, column: 1 });
    check(b" \n ", FileError::Empty);
    check(&[0xff, 0xfe], FileError::NotText);
    check(&vec![b' '; MAX_BYTES + 1], FileError::TooLarge(MAX_BYTES + 1));
    check(&REAL.as_bytes()[..REAL.len() - 9], FileError::Truncated);
    check(br#"{"claudeAiOauth":"s3cret"#, FileError::Truncated);
    check(br#"{"claudeAiOauth":s3cret}"#, FileError::Malformed { line: 1, column: 18 });
    check(br#"["s3cret"]"#, FileError::NotAnObject);
    check(b"\"s3cret\"", FileError::NotAnObject);
    check(br#"{"claudeAiOauth":"s3cret"}"#, FileError::WrongType { field: "claudeAiOauth", expected: "an object" });
    let login = |fields: &str| format!("{{\"claudeAiOauth\":{{{fields}}}}}").into_bytes();
    check(&login(r#""accessToken":7"#), FileError::WrongType { field: "accessToken", expected: "a text" });
    check(&login(r#""refreshToken":["s3cret"]"#), FileError::WrongType { field: "refreshToken", expected: "a text" });
    check(&login(r#""accessToken":"s3cret\r\nx: y""#), FileError::NotAToken("accessToken"));
    check(&login(r#""accessToken":"s3cret ü""#), FileError::NotAToken("accessToken"));
    check(&login(&format!(r#""accessToken":"{}""#, "x".repeat(20_000))), FileError::NotAToken("accessToken"));
    check(&login(r#""expiresAt":"s3cret""#), FileError::WrongType { field: "expiresAt", expected: "a number" });
    check(&login(r#""scopes":["a",1]"#), FileError::WrongType { field: "scopes", expected: "a list of texts" });
    check(&login(r#""scopes":"s3cret""#), FileError::WrongType { field: "scopes", expected: "a list of texts" });
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(matches!(CredentialFile::parse(deep.as_bytes()), Err(FileError::Malformed { .. })));
}

#[test]
fn a_decoration_of_another_type_is_no_reason_to_refuse() {
    let file = parse(
        r#"{"claudeAiOauth":{"accessToken":"a","scopes":["user:inference"],"subscriptionType":7,"accountUuid":{"x":1},"rateLimitTier":[]}}"#,
    );
    assert_eq!((file.view().state, file.view().account), (LoginState::AccessOnly, None));
    assert_eq!(
        value(&file.access_only().expect("a token")),
        json!({"claudeAiOauth": {"accessToken": "a", "scopes": ["user:inference"], "subscriptionType": 7}})
    );
}

#[test]
fn the_access_only_projection_has_nothing_else() {
    let projected = parse(REAL).access_only().expect("a token");
    assert_eq!(
        value(&projected),
        json!({"claudeAiOauth": {
            "accessToken": "sk-ant-oat01-access", "expiresAt": 1_795_284_366_595_i64,
            "scopes": ["user:inference", "user:profile"], "subscriptionType": "max", "subscriptionTypeSource": "sign_in",
            "rateLimitTier": "default_claude_max_5x", "accountUuid": "00000000-0000-4000-8000-00000000000A",
            "organizationUuid": "00000000-0000-4000-8000-000000000002",
        }})
    );
    assert_eq!(projected.view().state, LoginState::AccessOnly);
    assert_eq!(projected.view().access, parse(REAL).view().access, "the same token has the same mark");
    for nothing in ["{}", r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"r"}}"#] {
        assert!(parse(nothing).access_only().is_none(), "{nothing}");
    }
}

#[test]
fn only_the_login_is_exchanged() {
    let mut file = parse(r#"{"mcpOAuth":{"own":1},"claudeAiOauth":{"accessToken":"old"},"other":true}"#);
    let real = parse(REAL);
    let alone = real.login_only().expect("a login");
    assert_eq!(value(&alone).as_object().map(Map::len), Some(1));
    file.set_login(Some(&real));
    let merged = value(&file);
    assert_eq!(merged["claudeAiOauth"], value(&real)["claudeAiOauth"], "whole, with what is not known");
    assert_eq!((&merged["mcpOAuth"], &merged["other"]), (&json!({"own": 1}), &json!(true)));
    assert!(merged.get("pluginSecrets").is_none() && merged.get("trustedDeviceToken").is_none());
    file.set_login(None);
    assert_eq!(value(&file), json!({"mcpOAuth": {"own": 1}, "other": true}));
    assert!(!file.is_empty() && parse("{}").login_only().is_none());
}

#[test]
fn a_login_is_made_to_be_renewed_by_its_time_alone() {
    let now = 1_795_284_366_595 - 3_600_000;
    let mut file = parse(REAL);
    assert!(file.hasten(now) && !file.hasten(now), "once");
    assert_eq!(file.view().expires_at_ms, Some(now + 4 * 60 * 1000));
    assert_eq!(file.view().login, parse(REAL).view().login, "the same login");
    let (mut expected, hastened) = (value(&parse(REAL)), value(&file));
    expected[LOGIN][EXPIRES] = json!(now + 4 * 60 * 1000);
    assert_eq!(hastened, expected);
    for cannot in ["{}", r#"{"claudeAiOauth":{"accessToken":"a","scopes":["user:inference"],"expiresAt":9e14}}"#] {
        assert!(!parse(cannot).hasten(now), "{cannot}");
    }
    assert!(!parse(REAL).hasten(1_795_284_366_595), "it is renewed anyway");
}

#[test]
fn nothing_is_shown() {
    let shown = format!("{:?} {:?}", parse(REAL), parse(REAL).view());
    for secret in ["sk-ant", "secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let setup = CredentialFile::of_setup_token(&Secret::new("token-of-a-year".to_owned()));
    assert_eq!(setup.view().state, LoginState::AccessOnly);
    assert!(setup.is_given_away_by("is token-of-a-year here") && setup.is_given_away_by("of-a-year"));
    assert!(!setup.is_given_away_by("user:inference"));
}

/// JSON with any names and values, of a depth that files have.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let known =
        [LOGIN, ACCESS, REFRESH, EXPIRES, REFRESH_EXPIRES, SCOPES, "subscriptionType", "accountUuid", "mcpOAuth"];
    prop_oneof![3 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "[a-zA-Z]{1,6}"]
}

fn any_file() -> impl Strategy<Value = Value> {
    let login = prop::collection::vec((name(), any_json()), 0..6);
    let tokens = (any::<bool>(), prop::option::of("[!-~]{8,20}"), prop::option::of("[!-~]{8,20}"));
    let rest = prop::collection::vec((name(), any_json()), 0..4);
    (login, tokens, rest).prop_map(|(login, (is_regular, access, refresh), rest)| {
        let mut map: Map<String, Value> = rest.into_iter().collect();
        let mut fields: Map<String, Value> = login.into_iter().collect();
        if is_regular {
            for field in [EXPIRES, REFRESH_EXPIRES, SCOPES] {
                fields.remove(field);
            }
            fields.insert(SCOPES.into(), json!([INFERENCE]));
            fields.insert(ACCESS.into(), json!(access));
            fields.insert(REFRESH.into(), json!(refresh));
            map.insert(LOGIN.into(), Value::Object(fields));
        }
        Value::Object(map)
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..REAL.len()) {
        let _ = CredentialFile::parse(&bytes);
        prop_assert!(CredentialFile::parse(&REAL.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn every_field_survives_and_no_secret_enters_the_projection(file in any_file()) {
        if let Ok(read) = CredentialFile::parse(file.to_string().as_bytes()) {
            prop_assert_eq!(&value(&read), &file);
            if let Some(projected) = read.access_only() {
                let text = projected.render();
                if let Some(refresh) = file[LOGIN][REFRESH].as_str().filter(|it| it.len() >= 8) {
                    let access = file[LOGIN][ACCESS].as_str().unwrap_or_default();
                    prop_assert!(access.contains(refresh) || !text.reveal().contains(refresh), "a refresh token");
                }
                prop_assert_eq!(value(&projected).as_object().map(Map::len), Some(1));
                prop_assert_eq!(projected.view().state, LoginState::AccessOnly);
                prop_assert_eq!(projected.view().access, read.view().access);
                // What was projected is a fixed point.
                prop_assert_eq!(projected.access_only().map(|again| value(&again)), Some(value(&projected)));
            }
            if let Some(login) = read.login_only() {
                prop_assert_eq!(&value(&login)[LOGIN], &file[LOGIN]);
            }
        }
    }
}
