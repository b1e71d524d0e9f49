//! What stands in a sandbox in each mode, and that switching between any two leaves nothing behind.

use std::collections::BTreeMap;

use super::*;
use crate::credentials::environment::{Bedrock, Endpoint, KeyForm, Server, Vertex};
use crate::credentials::testing::{ACCOUNT, NOW, OTHER_ACCOUNT, login};

const PLACE: Place<'_> = Place { configuration: "/home/boxwood/.claude", workspace: "/p" };

type Files = BTreeMap<OwnFile, String>;

fn endpoint(url: Option<&str>) -> Endpoint {
    let url = url.map(|url| (url.to_owned(), Server::of_url(url).expect("a server")));
    let models = url.is_some().then(|| ("ANTHROPIC_MODEL".to_owned(), "big".to_owned()));
    Endpoint { url, models: models.into_iter().collect() }
}

/// A value that occurs nowhere else.
fn canary(name: &str) -> Secret {
    Secret::new(format!("canary-{name}-canary"))
}

/// Something that a sandbox can hold.
struct Holding {
    name: &'static str,
    mode: CredentialMode,
    material: Option<Material>,
}

/// Every pair of mode and material that a source can offer, and each mode without any.
fn holdings() -> Vec<Holding> {
    use CredentialMode::{Brokered, Isolated, Sync, Token};
    let key = |name: &str, form, url| Material::Key { value: canary(name), form, endpoint: endpoint(url) };
    let setup = |name: &str| Material::SetupToken { value: canary(name), endpoint: endpoint(None) };
    let bedrock = || Bedrock { region: "us-east-1".to_owned(), endpoint: endpoint(None) };
    let vertex = || Vertex { region: "us-east5".to_owned(), project: "p-1".to_owned(), endpoint: endpoint(None) };
    let third = Some("https://llm.example/v1");
    let shared = login(77, Some(ACCOUNT), NOW).access_only().expect("a token").render();
    let all = vec![
        ("isolated", Isolated, None),
        ("sync", Sync, None),
        ("token, nothing", Token, None),
        ("brokered, nothing", Brokered, None),
        ("brokered key", Brokered, Some(key("a", KeyForm::Key, None))),
        ("brokered token of a third party", Brokered, Some(key("b", KeyForm::Bearer, third))),
        ("brokered helper", Brokered, Some(key("c", KeyForm::Both, None))),
        ("brokered setup-token", Brokered, Some(setup("d"))),
        ("brokered bedrock", Brokered, Some(Material::BedrockKey { value: canary("e"), bedrock: bedrock() })),
        ("brokered vertex", Brokered, Some(Material::Vertex { value: canary("f"), vertex: vertex() })),
        ("key inside", Token, Some(key("g", KeyForm::Key, None))),
        ("key of a third party inside", Token, Some(key("h", KeyForm::Bearer, third))),
        ("setup-token inside", Token, Some(setup("i"))),
        ("login's token", Token, Some(Material::Login { access_only: shared })),
        (
            "aws session",
            Token,
            Some(Material::BedrockSession {
                id: canary("j"),
                secret: canary("k"),
                session: canary("l"),
                bedrock: bedrock(),
            }),
        ),
    ];
    all.into_iter().map(|(name, mode, material)| Holding { name, mode, material }).collect()
}

/// What belongs to whoever works in the sandbox, and is none of our business.
fn lived_in() -> Files {
    BTreeMap::from([
        (OwnFile::Credentials, r#"{"mcpOAuth":{"x":{"t":"mcp-login"}}}"#.to_owned()),
        (
            OwnFile::Settings,
            r#"{"theme":"dark","env":{"EDITOR":"vi","HTTP_PROXY":"http://p"},"hooks":{"Stop":[]}}"#.to_owned(),
        ),
        (
            OwnFile::ClaudeJson,
            r#"{"theme":"light","customApiKeyResponses":{"approved":["own-end-of-a-key"],"rejected":["other-end"]},"projects":{"/q":{}}}"#
                .to_owned(),
        ),
    ])
}

fn provided(files: &Files, traces: &Traces, holding: &Holding) -> Provision {
    let credentials = files.get(&OwnFile::Credentials).map(|text| CredentialFile::parse(text.as_bytes()));
    let before = Before {
        claude_json: files.get(&OwnFile::ClaudeJson).map(String::as_str),
        settings: files.get(&OwnFile::Settings).map(String::as_str),
        credentials: credentials.as_ref().map(|file| file.as_ref().map_err(|problem| *problem)),
    };
    provide(holding.mode, holding.material.as_ref(), traces, &before, &PLACE)
}

fn carry_out(files: &mut Files, changes: &[Change]) {
    for change in changes {
        match &change.contents {
            Some(contents) => files.insert(change.file, contents.reveal().to_owned()),
            None => files.remove(&change.file),
        };
    }
}

/// Puts a sandbox into a holding, and lets happen there what happens in that mode.
fn hold(files: &mut Files, traces: &mut Traces, holding: &Holding) {
    let provision = provided(files, traces, holding);
    carry_out(files, &provision.changes);
    *traces = provision.traces;
    let number = match holding.mode {
        CredentialMode::Isolated => 1,
        CredentialMode::Sync => 2,
        CredentialMode::Token | CredentialMode::Brokered => return,
    };
    let text = files.get(&OwnFile::Credentials).map_or("{}", String::as_str);
    let mut file = CredentialFile::parse(text.as_bytes()).expect("a credential file");
    file.set_login(Some(&login(number, Some(ACCOUNT), NOW)));
    files.insert(OwnFile::Credentials, file.render().reveal().to_owned());
}

/// Marks of what a holding keeps inside; none of them may be there in another.
fn secrets(holding: &Holding) -> Vec<String> {
    let inside = match (&holding.material, holding.mode) {
        (None, CredentialMode::Isolated) => vec!["access-1\"", "refresh-1\""],
        (None, CredentialMode::Sync) => vec!["access-2\"", "refresh-2\""],
        (None, _) => vec![],
        (Some(Material::Login { .. }), _) => vec!["access-77"],
        (Some(Material::BedrockSession { .. }), _) => vec!["canary-j-", "canary-k-", "canary-l-"],
        (Some(Material::Key { value, .. } | Material::SetupToken { value, .. }), _)
        | (Some(Material::BedrockKey { value, .. } | Material::Vertex { value, .. }), _) => vec![value.reveal()],
    };
    inside.into_iter().map(str::to_owned).collect()
}

fn text_of(files: &Files) -> String {
    files.iter().map(|(file, text)| format!("{}: {text}\n", file.name())).collect()
}

fn values(files: &Files) -> BTreeMap<OwnFile, Value> {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    files.iter().map(|(file, text)| (*file, value(text))).collect()
}

#[test]
fn switching_between_any_two_leaves_nothing_behind() {
    let all = holdings();
    for start in [Files::new(), lived_in()] {
        for from in &all {
            for to in &all {
                let case = format!("{} to {}", from.name, to.name);
                let (mut expected, mut traces) = (start.clone(), Traces::default());
                carry_out(&mut expected, &provided(&start, &traces, to).changes);
                let mut files = start.clone();
                hold(&mut files, &mut traces, from);
                let keeps_login = from.mode == to.mode
                    && to.material.is_none()
                    && from.material.is_none()
                    && matches!(to.mode, CredentialMode::Isolated | CredentialMode::Sync);
                if keeps_login {
                    expected.insert(OwnFile::Credentials, files[&OwnFile::Credentials].clone());
                }
                let steps = provided(&files, &traces, to).changes.len();
                for cut in 0..=steps {
                    // Killed after so many steps, and carried out again from what is then there.
                    let mut files = files.clone();
                    let first = provided(&files, &traces, to);
                    carry_out(&mut files, &first.changes[..cut]);
                    let meanwhile = Traces { mode: traces.mode, ..first.meanwhile };
                    let second = provided(&files, &meanwhile, to);
                    carry_out(&mut files, &second.changes);
                    assert_eq!(values(&files), values(&expected), "{case}, cut after {cut}");
                    if from.name != to.name {
                        for secret in secrets(from) {
                            assert!(!text_of(&files).contains(&secret), "{case}: {secret}");
                        }
                    }
                    // Once more changes nothing.
                    let third = provided(&files, &second.traces, to);
                    let before = files.clone();
                    carry_out(&mut files, &third.changes);
                    assert_eq!(files, before, "{case}");
                    assert!(third.parked.is_none() && third.traces == second.traces, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_login_made_inside_is_parked_and_a_copied_one_is_written_back_first() {
    let all = holdings();
    for from in &all {
        for to in &all {
            let (mut files, mut traces) = (lived_in(), Traces::default());
            hold(&mut files, &mut traces, from);
            let provision = provided(&files, &traces, to);
            let parked = provision.parked.as_ref().map(|file| file.render().reveal().to_owned());
            let is_parked = from.mode == CredentialMode::Isolated && to.mode != CredentialMode::Isolated;
            assert_eq!(parked.is_some(), is_parked, "{} to {}", from.name, to.name);
            if let Some(parked) = parked {
                assert!(parked.contains("refresh-1") && !parked.contains("mcp-login"), "only Claude's login: {parked}");
            }
            let is_last_sync_due = from.mode == CredentialMode::Sync && to.mode != CredentialMode::Sync;
            assert_eq!(provision.is_last_sync_due, is_last_sync_due, "{} to {}", from.name, to.name);
        }
    }
}

#[test]
fn what_an_agent_puts_there_in_another_mode_is_not_its_own_login() {
    let all = holdings();
    let isolated = all.iter().find(|holding| holding.mode == CredentialMode::Isolated).expect("a holding");
    for from in all.iter().filter(|holding| holding.mode != CredentialMode::Isolated) {
        let (mut files, mut traces) = (Files::new(), Traces::default());
        hold(&mut files, &mut traces, from);
        let planted = login(5, Some(OTHER_ACCOUNT), NOW).render().reveal().to_owned();
        files.insert(OwnFile::Credentials, planted);
        let provision = provided(&files, &traces, isolated);
        carry_out(&mut files, &provision.changes);
        assert!(!text_of(&files).contains("refresh-5"), "{}", from.name);
        assert_eq!(provision.parked.is_some(), from.mode != CredentialMode::Sync, "{}", from.name);
    }
    // Of a sandbox that was there before, it is.
    let mut files = Files::from([(OwnFile::Credentials, login(5, None, NOW).render().reveal().to_owned())]);
    let provision = provided(&files, &Traces::default(), isolated);
    carry_out(&mut files, &provision.changes);
    assert!(text_of(&files).contains("refresh-5") && provision.parked.is_none());
}

#[test]
fn what_is_brokered_stands_nowhere_inside() {
    for holding in holdings().iter().filter(|holding| holding.mode == CredentialMode::Brokered) {
        let mut files = lived_in();
        let provision = provided(&files, &Traces::default(), holding);
        carry_out(&mut files, &provision.changes);
        let inside = format!("{} {:?} {:?}", text_of(&files), provision.traces, provision);
        let set: String = provision
            .injections
            .iter()
            .flat_map(|injection| &injection.set)
            .map(|(_, value)| value.reveal().to_owned())
            .collect();
        for secret in secrets(holding) {
            assert!(!inside.contains(&secret), "{}: {inside}", holding.name);
            assert!(set.contains(&secret), "{}: the gateway gets it", holding.name);
        }
        assert_eq!(holding.material.is_some(), inside.contains("placeholder") || inside.contains("SKIP_VERTEX_AUTH"));
    }
}

#[test]
fn the_gateway_sets_what_the_client_would_send_and_removes_the_rest() {
    let check = |name: &str, expected: &[(&str, &[&str])]| {
        let holding = holdings().into_iter().find(|holding| holding.name == name).expect("a holding");
        let provision = provided(&Files::new(), &Traces::default(), &holding);
        let got: Vec<(String, Vec<String>)> = provision
            .injections
            .iter()
            .map(|injection| {
                for (header, _) in &injection.set {
                    assert!(injection.strip.contains(header), "{name}: {header} is removed before it is set");
                }
                let set = injection.set.iter().map(|(header, value)| format!("{header}: {}", value.reveal()));
                (injection.server.rule().host, set.collect())
            })
            .collect();
        let expected: Vec<(String, Vec<String>)> = expected
            .iter()
            .map(|(host, set)| ((*host).to_owned(), set.iter().map(|line| (*line).to_owned()).collect()))
            .collect();
        assert_eq!(got, expected, "{name}");
    };
    check("brokered key", &[("api.anthropic.com", &["x-api-key: canary-a-canary"])]);
    check("brokered token of a third party", &[("llm.example", &["authorization: Bearer canary-b-canary"])]);
    check(
        "brokered helper",
        &[("api.anthropic.com", &["x-api-key: canary-c-canary", "authorization: Bearer canary-c-canary"])],
    );
    check("brokered setup-token", &[("api.anthropic.com", &["authorization: Bearer canary-d-canary"])]);
    check(
        "brokered bedrock",
        &[
            ("bedrock-runtime.us-east-1.amazonaws.com", &["authorization: Bearer canary-e-canary"]),
            ("bedrock.us-east-1.amazonaws.com", &["authorization: Bearer canary-e-canary"]),
        ],
    );
    check("brokered vertex", &[("us-east5-aiplatform.googleapis.com", &["authorization: Bearer canary-f-canary"])]);
    for name in ["isolated", "sync", "key inside", "setup-token inside", "login's token", "aws session"] {
        check(name, &[]);
    }
}

#[test]
fn each_mode_writes_what_claude_reads() {
    let mut shown = String::new();
    for name in ["brokered key", "brokered setup-token", "key of a third party inside", "aws session"] {
        let holding = holdings().into_iter().find(|holding| holding.name == name).expect("a holding");
        let mut files = Files::new();
        carry_out(&mut files, &provided(&Files::new(), &Traces::default(), &holding).changes);
        shown.push_str(&format!("# {name}\n{}", text_of(&files)));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn placeholders_have_the_form_of_what_they_stand_for() {
    let check = |placeholder: &str, prefix: &str| {
        assert!(placeholder.starts_with(prefix) && placeholder.ends_with("AA"), "{placeholder}");
        assert_eq!(placeholder.len(), 108, "{placeholder}");
        assert!(placeholder.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{placeholder}");
    };
    check(PLACEHOLDER_KEY, "sk-ant-api03-");
    check(PLACEHOLDER_LOGIN, "sk-ant-oat01-");
    for placeholder in [PLACEHOLDER_KEY, PLACEHOLDER_LOGIN, PLACEHOLDER_TOKEN] {
        assert!(placeholder.contains("placeholder") && crate::credentials::file::is_token(placeholder));
    }
}

#[test]
fn a_file_that_claude_cannot_read_is_moved_out() {
    let broken: Files =
        [OwnFile::Credentials, OwnFile::Settings, OwnFile::ClaudeJson].map(|file| (file, "{\"cut".to_owned())).into();
    for holding in holdings() {
        let provision = provided(&broken, &Traces::default(), &holding);
        assert_eq!(
            provision.broken,
            [OwnFile::Credentials, OwnFile::Settings, OwnFile::ClaudeJson],
            "{}",
            holding.name
        );
        let mut files = broken.clone();
        carry_out(&mut files, &provision.changes);
        assert!(!text_of(&files).contains("cut"), "{}", holding.name);
    }
    let kept = Traces { mode: Some(CredentialMode::Isolated), ..Traces::default() };
    let isolated = Holding { name: "", mode: CredentialMode::Isolated, material: None };
    assert!(!provided(&broken, &kept, &isolated).broken.contains(&OwnFile::Credentials), "the sandbox's own affair");
}

#[test]
fn a_wrong_material_gives_nothing_and_never_more_than_a_token() {
    let full = login(5, Some(ACCOUNT), NOW).render();
    let holding =
        Holding { name: "", mode: CredentialMode::Token, material: Some(Material::Login { access_only: full }) };
    let mut files = Files::new();
    carry_out(&mut files, &provided(&Files::new(), &Traces::default(), &holding).changes);
    assert!(text_of(&files).contains("access-5") && !text_of(&files).contains("refresh-5"));
    let broken = Material::Login { access_only: Secret::new("{".to_owned()) };
    let holding = Holding { name: "", mode: CredentialMode::Token, material: Some(broken) };
    assert!(
        provided(&Files::new(), &Traces::default(), &holding)
            .changes
            .iter()
            .all(|change| { change.file != OwnFile::Credentials || change.contents.is_none() })
    );
}

#[test]
fn a_doubtful_endpoint_is_warned_about() {
    let check = |url: &str, expected: &str| {
        let material = Material::Key { value: canary("x"), form: KeyForm::Key, endpoint: endpoint(Some(url)) };
        let holding = Holding { name: "", mode: CredentialMode::Brokered, material: Some(material) };
        let warnings = provided(&Files::new(), &Traces::default(), &holding).warnings.join("\n");
        assert!(
            if expected.is_empty() { warnings.is_empty() } else { warnings.contains(expected) },
            "{url}: {warnings}"
        );
    };
    check("https://llm.example", "");
    check("http://llm.example", "not encrypted");
    check("http://127.0.0.1:1", "loopback");
}

#[test]
fn traces_are_read_as_they_were_first_written() {
    let first = r#"{"version":1,"mode":"brokered","variables":["ANTHROPIC_API_KEY"],"approved":["x"]}"#;
    let traces: Traces = serde_json::from_str(first).expect("traces");
    assert_eq!(
        (traces.mode(), serde_json::to_string(&traces).expect("text").as_str()),
        (Some(CredentialMode::Brokered), first)
    );
}
