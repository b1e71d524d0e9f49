//! What the real `claude` wrote on a terminal, recorded by `recordings/record.mjs`, read however it is cut.

use boxwood_protocol::credentials::Secret;
use boxwood_protocol::login::LoginKind;
use proptest::prelude::*;

use super::*;

const LOGIN: &[u8] = include_bytes!("recordings/login.bin");
const LOGIN_WRONG: &[u8] = include_bytes!("recordings/login-wrong.bin");
const LOGIN_OFFLINE: &[u8] = include_bytes!("recordings/login-offline.bin");
const LOGIN_BROKEN: &[u8] = include_bytes!("recordings/login-broken.bin");
const CONSOLE: &[u8] = include_bytes!("recordings/console.bin");
const SETUP_TOKEN: &[u8] = include_bytes!("recordings/setup-token.bin");
const SETUP_TOKEN_WRONG: &[u8] = include_bytes!("recordings/setup-token-wrong.bin");
const SETUP_TOKEN_OFFLINE: &[u8] = include_bytes!("recordings/setup-token-offline.bin");

/// Every recording, how it came about, and the status with which `claude` ended.
const ALL: [(LoginKind, &[u8], i64); 8] = [
    (LoginKind::Login, LOGIN, 0),
    (LoginKind::Login, LOGIN_WRONG, 1),
    (LoginKind::Login, LOGIN_OFFLINE, 1),
    (LoginKind::Login, LOGIN_BROKEN, 1),
    (LoginKind::Console, CONSOLE, 0),
    (LoginKind::SetupToken, SETUP_TOKEN, 0),
    (LoginKind::SetupToken, SETUP_TOKEN_WRONG, 1),
    (LoginKind::SetupToken, SETUP_TOKEN_OFFLINE, 1),
];

fn find(bytes: &[u8], words: &str) -> Option<usize> {
    bytes.windows(words.len()).position(|window| window == words.as_bytes())
}

/// Where a recording goes on after the code was given: with what was typed, or with the first star for it.
fn answered_at(kind: LoginKind, recording: &[u8]) -> usize {
    match kind {
        LoginKind::SetupToken => find(recording, "***").expect("stars"),
        LoginKind::Login | LoginKind::Console => {
            let prompt = "Paste code here if prompted > ";
            find(recording, prompt).expect("a prompt") + prompt.len()
        }
    }
}

/// What was seen, in words; secrets are in it only where they are what counts.
fn words(seen: Seen) -> String {
    match seen {
        Seen::Url(address) => format!("url {}", address.as_str().split('?').next().unwrap_or_default()),
        Seen::WantsCode => "wants code".to_owned(),
        Seen::Type(keys) => format!("type {:?}", keys.reveal()),
        Seen::Token(token) => format!("token {}", token.reveal()),
        Seen::SignedIn => "signed in".to_owned(),
        Seen::Failed(failure) => format!("failed: {failure}"),
    }
}

/// Plays a recording in pieces of these lengths, again and again from the first.
fn play(kind: LoginKind, recording: &[u8], status: i64, lengths: &[usize]) -> Vec<String> {
    let mut sign_in = SignIn::new(kind);
    let mut told = Vec::new();
    let mut lengths = lengths.iter().copied().cycle();
    let (before, after) = recording.split_at(answered_at(kind, recording));
    for (part, is_first) in [(before, true), (after, false)] {
        let mut rest = part;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(lengths.next().unwrap_or(1).clamp(1, rest.len()));
            for seen in sign_in.feed(piece) {
                if let Seen::Url(address) = &seen {
                    assert!(
                        recording.windows(address.as_str().len()).any(|window| window == address.as_str().as_bytes())
                    );
                    told.push(format!("state {}", address.state().len()));
                }
                told.push(words(seen));
            }
            rest = more;
        }
        if is_first {
            assert!(sign_in.wants_code(), "{told:?}");
            let state = state(recording);
            let other = Secret::new("a-code#of-somebody-else".to_owned());
            assert_eq!(sign_in.answer(&other).err(), Some(CodeError::OfAnother));
            let keys = sign_in.answer(&Secret::new(format!("the-code-of-this-sign-in#{state}\n"))).expect("keys");
            let end = if kind == LoginKind::SetupToken { "" } else { "\r" };
            assert_eq!(keys.reveal(), format!("the-code-of-this-sign-in#{state}{end}"));
            assert!(!sign_in.wants_code());
        }
    }
    told.extend(sign_in.end(status).into_iter().map(words));
    told.push(format!("well: {}", sign_in.is_well()));
    told
}

fn state(recording: &[u8]) -> String {
    let at = find(recording, "&state=").expect("a state") + "&state=".len();
    let is_plain = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-' || **byte == b'_';
    recording[at..].iter().take_while(is_plain).map(|byte| char::from(*byte)).collect()
}

fn whole(kind: LoginKind, recording: &[u8], status: i64) -> Vec<String> {
    play(kind, recording, status, &[usize::MAX])
}

const ASKED: [&str; 3] = ["state 43", "url https://claude.com/cai/oauth/authorize", "wants code"];

fn after(asked: [&str; 3], rest: &[&str]) -> Vec<String> {
    asked.iter().chain(rest).map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_login_is_seen_from_its_address_to_its_end() {
    assert_eq!(whole(LoginKind::Login, LOGIN, 0), after(ASKED, &["signed in", "well: true"]));
    let console = ["state 43", "url https://platform.claude.com/oauth/authorize", "wants code"];
    assert_eq!(whole(LoginKind::Console, CONSOLE, 0), after(console, &["signed in", "well: true"]));
}

#[test]
fn a_login_that_fails_says_why() {
    for (recording, expected) in [
        (LOGIN_WRONG, "failed: the code was not accepted"),
        (LOGIN_OFFLINE, "failed: Claude Code says: connect ECONNREFUSED 127.0.0.1:9"),
        (LOGIN_BROKEN, "failed: Claude Code says: Request failed with status code 500"),
    ] {
        assert_eq!(whole(LoginKind::Login, recording, 1), after(ASKED, &[expected, "well: false"]));
    }
}

#[test]
fn a_token_is_taken_from_its_line_and_the_enter_key_comes_apart_from_the_code() {
    let token = {
        let at = find(SETUP_TOKEN, "sk-ant-oat").expect("a token");
        let is_plain = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-' || **byte == b'_';
        SETUP_TOKEN[at..].iter().take_while(is_plain).map(|byte| char::from(*byte)).collect::<String>()
    };
    assert!(token.len() > 40, "{token}");
    let expected = after(ASKED, &["type \"\\r\"", &format!("token {token}"), "well: true"]);
    assert_eq!(whole(LoginKind::SetupToken, SETUP_TOKEN, 0), expected);
}

#[test]
fn a_token_that_is_not_given_says_why() {
    let expected = after(ASKED, &["type \"\\r\"", "failed: the code was not accepted", "well: false"]);
    assert_eq!(whole(LoginKind::SetupToken, SETUP_TOKEN_WRONG, 1), expected);
    let offline = whole(LoginKind::SetupToken, SETUP_TOKEN_OFFLINE, 1);
    assert!(offline.iter().any(|word| word.starts_with("failed: Claude Code says: ")), "{offline:?}");
}

#[test]
fn what_ends_without_a_word_has_failed() {
    let mut sign_in = SignIn::new(LoginKind::Login);
    assert_eq!(sign_in.feed(b"/bin/sh: stty: not found\r\n"), []);
    assert_eq!(sign_in.end(127), [Seen::Failed(Failure::Ended(127))]);
    assert_eq!(sign_in.end(127), []);
}

#[test]
fn an_address_of_somebody_else_is_not_opened() {
    for url in ["https://claude.example/oauth/authorize?state=s", "http://claude.com/oauth/authorize?state=s"] {
        let mut sign_in = SignIn::new(LoginKind::Login);
        let seen = sign_in.feed(format!("visit: {url}\r\nPaste code here if prompted > ").as_bytes());
        assert!(matches!(seen.as_slice(), [Seen::Failed(Failure::Address(_))]), "{seen:?}");
        assert!(!sign_in.wants_code());
    }
}

#[test]
fn a_reason_never_repeats_what_was_given() {
    for (said, is_hidden) in [
        ("request with code=the-secret-code failed", true),
        ("sk-ant-oat01-abc is not allowed", true),
        ("the server is busy", false),
    ] {
        let mut sign_in = SignIn::new(LoginKind::Login);
        let shown = "visit https://claude.com/oauth/authorize?state=s\r\nPaste code here if prompted > ";
        assert_eq!(sign_in.feed(shown.as_bytes()).len(), 2);
        sign_in.answer(&Secret::new("the-secret-code#s".to_owned())).expect("keys");
        let seen = sign_in.feed(format!("\r\nCouldn't log in: {said}\r\n").as_bytes());
        let told = seen.into_iter().map(words).collect::<String>();
        assert!(told.starts_with("failed: "), "{told}");
        assert_eq!(!told.contains(said), is_hidden, "{told}");
        assert!(!format!("{told} {sign_in:?}").contains("the-secret-code"), "{told}");
    }
}

#[test]
fn names_of_login_homes_are_names_of_directories() {
    for name in ["default", "work-2", "a.b_c", "project-0a1b2c3d"] {
        assert!(is_home_name(name), "{name}");
    }
    let long = "a".repeat(200);
    for name in ["", ".", "..", ".new-x", "a/b", "a\\b", "a b", "ä", "a\0", long.as_str()] {
        assert!(!is_home_name(name), "{name:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However the bytes are cut, the same is seen.
    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut(
        which in 0..ALL.len(),
        lengths in prop::collection::vec(1_usize..200, 1..12),
    ) {
        let (kind, recording, status) = ALL[which];
        prop_assert_eq!(play(kind, recording, status, &lengths), whole(kind, recording, status));
    }

    /// Whatever is written, nothing breaks, and what is written in pieces is read as what is written at once.
    #[test]
    fn whatever_arrives_can_be_read(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'H'), Just(b'9'), Just(b'\n')], 0..600),
        cut in 0_usize..600,
    ) {
        let at = cut.min(bytes.len());
        let (mut once, mut twice) = (SignIn::new(LoginKind::SetupToken), SignIn::new(LoginKind::SetupToken));
        let expected: Vec<String> = once.feed(&bytes).into_iter().map(words).collect();
        let mut seen = twice.feed(&bytes[..at]);
        seen.extend(twice.feed(&bytes[at..]));
        prop_assert_eq!(seen.into_iter().map(words).collect::<Vec<_>>(), expected);
    }
}
