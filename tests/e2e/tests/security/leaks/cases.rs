//! One hunt for each source and mode.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use boxwood_e2e::World;
use boxwood_e2e::api::imitate;
use boxwood_e2e::identity_realm::stored;
use boxwood_e2e::leaks::Canary;
use serde_json::{Value, json};

use super::Person;

/// A person without anything in the environment.
fn person() -> Person {
    Person::new(|_| Vec::new())
}

/// Has another provider answer under these names, to whoever shows `credential`. It ends with the world.
fn serve(world: &World, names: &[&'static str], credential: &str) -> Vec<(&'static str, u16)> {
    let (mut child, port) = imitate("0.0.0.0", credential, &world.root().join("provider.jsonl"));
    world.at_end(move || {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    });
    names.iter().map(|name| (*name, port)).collect()
}

/// A person of another provider, which answers under these names and wants the last of these secrets. Each variable of the
/// environment that is a secret has a name of its own.
fn of_provider(names: &[&'static str], plain: &[(&str, &str)], secret: &[(&'static str, &str, &str)]) -> Person {
    let mut person = Person::new(|world| {
        for (name, value) in plain.iter().copied().chain(secret.iter().map(|(_, name, value)| (*name, *value))) {
            world.set(name, value);
        }
        serve(world, names, secret.last().expect("a secret").2)
    });
    person.canaries.extend(secret.iter().map(|(name, _, value)| Canary::new(name, *value)));
    person
}

/// The person's own command line and terminal have their environment; what the command line starts has not.
const OF_THE_CLIENT: [&str; 4] = ["environment:boxwood", "environment:script", "environment:sh", "environment:stty"];

fn text(value: &Value) -> String {
    value.as_str().expect("a token").to_owned()
}

fn write(path: &Path, contents: &str, mode: u32) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(path, contents).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// Where Claude Code inside finds what the sandbox holds of a login.
const IN_ITS_HOME: &str = "seen inside/home/boxwood/.claude/.credentials.json";

/// The same file on the host.
const OF_ITS_HOME: &str = "state:/state/sandboxes/ID/home/.claude/.credentials.json";

#[test]
fn a_key_on_requests() {
    person().is_hunted("a key, brokered", |realm| realm.choose("brokered", "stored-key"), &[], &[]);
}

#[test]
fn a_token_of_setup_token_on_requests() {
    person().is_hunted("a token, brokered", |realm| realm.choose("brokered", "stored-login"), &[], &[]);
}

#[test]
fn a_key_inside() {
    let table = [
        ("key", "state:/state/sandboxes/ID/home/.claude/.boxwood-key"),
        ("key", "seen inside/home/boxwood/.claude/.boxwood-key"),
    ];
    person().is_hunted("a key, inside", |realm| realm.choose("token", "stored-key"), &table, &[]);
}

#[test]
fn a_token_of_setup_token_inside() {
    let table = [("setup token", OF_ITS_HOME), ("setup token", IN_ITS_HOME)];
    person().is_hunted("a token, inside", |realm| realm.choose("token", "stored-login"), &table, &[]);
}

#[test]
fn the_hosts_access_token_inside() {
    let table = [("host access token", OF_ITS_HOME), ("host access token", IN_ITS_HOME)];
    person().is_hunted("the host's login, its token", |realm| realm.choose("token", "host-login"), &table, &[]);
}

#[test]
fn the_hosts_login_on_both_sides() {
    let table = [
        ("host access token", OF_ITS_HOME),
        ("host refresh token", OF_ITS_HOME),
        ("host access token", IN_ITS_HOME),
        ("host refresh token", IN_ITS_HOME),
    ];
    person().is_hunted("the host's login, both", |realm| realm.choose("sync", "host-login"), &table, &[]);
}

#[test]
fn a_login_of_its_own_and_that_of_another_sandbox() {
    const INSIDE: &str = "seen inside/var/lib/boxwood/login/.claude/.credentials.json";
    let mut person = person();
    let _ = person.realm.world.list();
    person.realm.sign_in();
    let logins = person.realm.world.state().join("logins");
    let own = stored(&logins.join("default/.claude"));
    let other = person.realm.identity.issue();
    let file = json!({ "claudeAiOauth": other }).to_string();
    write(&logins.join("other-0123abcd/.claude/.credentials.json"), &file, 0o600);
    person.canaries.extend([
        Canary::new("own access token", text(&own["accessToken"])),
        Canary::new("own refresh token", text(&own["refreshToken"])),
        Canary::new("other's access token", text(&other["accessToken"])),
        Canary::new("other's refresh token", text(&other["refreshToken"])),
    ]);
    let table = [
        ("own access token", "state:/state/logins/default/.claude/.credentials.json"),
        ("own refresh token", "state:/state/logins/default/.claude/.credentials.json"),
        ("own access token", INSIDE),
        ("own refresh token", INSIDE),
        ("other's access token", "state:/state/logins/other-0123abcd/.claude/.credentials.json"),
        ("other's refresh token", "state:/state/logins/other-0123abcd/.claude/.credentials.json"),
    ];
    person.is_hunted("a login, isolated", |realm| realm.choose("isolated", "login-home"), &table, &[]);
}

#[test]
fn a_key_of_the_environment() {
    let mut person = person();
    let key = person.realm.identity.key();
    person.realm.world.set("ANTHROPIC_API_KEY", &key);
    person.canaries.push(Canary::new("environment key", key));
    let watched = OF_THE_CLIENT.map(|place| ("environment key", place));
    let table = [("environment key", "socket:to the daemon")];
    person.is_hunted("a key of the environment", |_| (), &table, &watched);
}

#[test]
fn a_token_of_another_providers_endpoint() {
    let token = "provider-Y2FuYXJ5IG9mIGFub3RoZXIgcHJvdmlkZXIsIG5vdCBhIHRva2Vu-canary";
    let person = of_provider(
        &["models.test"],
        &[("ANTHROPIC_BASE_URL", "https://models.test")],
        &[("endpoint token", "ANTHROPIC_AUTH_TOKEN", token)],
    );
    let watched = OF_THE_CLIENT.map(|place| ("endpoint token", place));
    let table = [("endpoint token", "socket:to the daemon")];
    person.is_hunted("another provider's token", |_| (), &table, &watched);
}

/// Servers of Bedrock in the region of these tests.
const BEDROCK: [&str; 2] = ["bedrock-runtime.eu-west-1.amazonaws.com", "bedrock.eu-west-1.amazonaws.com"];

#[test]
fn a_key_of_bedrock() {
    let key = "bedrock-api-key-Y2FuYXJ5IG9mIEJlZHJvY2ssIG5vdCBhIGtleQ-canary";
    let person = of_provider(
        &BEDROCK,
        &[("CLAUDE_CODE_USE_BEDROCK", "1"), ("AWS_REGION", "eu-west-1")],
        &[("bedrock key", "AWS_BEARER_TOKEN_BEDROCK", key)],
    );
    let watched = OF_THE_CLIENT.map(|place| ("bedrock key", place));
    let table = [("bedrock key", "socket:to the daemon")];
    person.is_hunted("a key of Bedrock", |_| (), &table, &watched);
}

#[test]
fn a_session_of_aws() {
    let secret = "wJalrXUtnFEMI/K7MDENG+canaryOfAws/bPxRfiCY0123";
    let session = "FwoGZXIvYXdzEBYaDCanaryOfAnAwsSession/0123456789+abcdefghij==";
    let person = of_provider(
        &BEDROCK,
        &[("CLAUDE_CODE_USE_BEDROCK", "1"), ("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "ASIACANARYCANARY0123")],
        &[("aws secret", "AWS_SECRET_ACCESS_KEY", secret), ("aws session", "AWS_SESSION_TOKEN", session)],
    );
    let of = |name: &'static str| OF_THE_CLIENT.map(|place| (name, place));
    // Whoever asks has to sign what it asks, so these are inside.
    let table = [
        ("aws secret", "state:/state/sandboxes/ID/home/.claude/.boxwood-aws.json"),
        ("aws session", "state:/state/sandboxes/ID/home/.claude/.boxwood-aws.json"),
        ("aws secret", "seen inside/home/boxwood/.claude/.boxwood-aws.json"),
        ("aws session", "seen inside/home/boxwood/.claude/.boxwood-aws.json"),
        ("aws secret", "socket:to the daemon"),
        ("aws session", "socket:to the daemon"),
    ];
    person.is_hunted("a session of AWS", |_| (), &table, &[of("aws secret"), of("aws session")].concat());
}

#[test]
fn a_google_login_for_vertex() {
    let token = "ya29.Y2FuYXJ5IG9mIEdvb2dsZSwgbm90IGEgdG9rZW4sIG9ubHkgaXRzIGZvcm0-canary";
    let key = "Y2FuYXJ5IG9mIEdvb2dsZSdzIHNlcnZpY2UgYWNjb3VudCwgbm90IGEga2V5/canary0123";
    let mut person = Person::new(|world| {
        let google = world.home().join("google");
        let account = json!({ "type": "service_account", "private_key": format!("PRIVATE {key}"), "client_email": "me@project.test" });
        write(&google.join("account.json"), &account.to_string(), 0o600);
        write(&google.join("token"), token, 0o600);
        // Google's own program, which makes a token of what the variable names.
        let program = "#!/bin/sh\n[ \"$*\" = 'auth application-default print-access-token' ] || exit 2\n\
                       grep -q PRIVATE \"$GOOGLE_APPLICATION_CREDENTIALS\" && exec cat \"$(dirname \"$0\")/token\"\n";
        write(&google.join("gcloud"), program, 0o755);
        world.set("PATH", format!("{}:{}", google.display(), std::env::var("PATH").unwrap_or_default()));
        world.set("GOOGLE_APPLICATION_CREDENTIALS", google.join("account.json"));
        world.set("CLAUDE_CODE_USE_VERTEX", "1");
        world.set("CLOUD_ML_REGION", "europe-west1");
        world.set("ANTHROPIC_VERTEX_PROJECT_ID", "project-0123");
        serve(world, &["europe-west1-aiplatform.googleapis.com"], token)
    });
    person.canaries.extend([Canary::new("google token", token), Canary::new("google key", key)]);
    // What makes tokens and what it made stay where they were; inside there is neither.
    let table = [("google token", "home:/home/google/token"), ("google key", "home:/home/google/account.json")];
    person.is_hunted("a login of Google's", |_| (), &table, &[]);
}
