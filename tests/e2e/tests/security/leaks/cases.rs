//! One hunt for each source and mode.

use boxwood_e2e::leaks::Canary;

use super::Person;

/// A person without anything in the environment.
fn person() -> Person {
    Person::new(|_| ())
}

/// A person with these in the environment, each under a name of its own.
fn with_environment(plain: &[(&str, &str)], secret: &[(&'static str, &str, &str)]) -> Person {
    let mut person = Person::new(|world| {
        for (name, value) in plain.iter().copied().chain(secret.iter().map(|(_, name, value)| (*name, *value))) {
            world.set(name, value);
        }
    });
    person.canaries.extend(secret.iter().map(|(name, _, value)| Canary::new(name, *value)));
    person
}

/// The person's own command line and terminal have their environment; what the command line starts has not.
const OF_THE_CLIENT: [&str; 3] = ["environment:boxwood", "environment:script", "environment:sh"];

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
    let table = [("key", "/home/.claude/.boxwood-key")];
    person().is_hunted("a key, inside", |realm| realm.choose("token", "stored-key"), &table, &[]);
}

#[test]
fn a_token_of_setup_token_inside() {
    let table = [("setup token", "/sandboxes/")];
    person().is_hunted("a token, inside", |realm| realm.choose("token", "stored-login"), &table, &[]);
}

#[test]
fn the_hosts_access_token_inside() {
    let table = [("host access token", "/sandboxes/")];
    person().is_hunted("the host's login, its token", |realm| realm.choose("token", "host-login"), &table, &[]);
}

#[test]
fn the_hosts_login_on_both_sides() {
    let table = [("host access token", "/sandboxes/"), ("host refresh token", "/sandboxes/")];
    person().is_hunted("the host's login, both", |realm| realm.choose("sync", "host-login"), &table, &[]);
}

#[test]
fn a_key_of_the_environment() {
    let key = "sk-ant-api03-Y2FuYXJ5IG9mIHRoZSBlbnZpcm9ubWVudCwgbm90IGEga2V5-canary";
    let person = with_environment(&[], &[("environment key", "ANTHROPIC_API_KEY", key)]);
    let watched = OF_THE_CLIENT.map(|place| ("environment key", place));
    let table = [("environment key", "socket:to the daemon")];
    person.is_hunted("a key of the environment", |_| (), &table, &watched);
}

#[test]
fn a_token_of_another_providers_endpoint() {
    let token = "provider-Y2FuYXJ5IG9mIGFub3RoZXIgcHJvdmlkZXIsIG5vdCBhIHRva2Vu-canary";
    let person = with_environment(
        &[("ANTHROPIC_BASE_URL", "https://models.test")],
        &[("endpoint token", "ANTHROPIC_AUTH_TOKEN", token)],
    );
    let watched = OF_THE_CLIENT.map(|place| ("endpoint token", place));
    let table = [("endpoint token", "socket:to the daemon")];
    person.is_hunted("another provider's token", |_| (), &table, &watched);
}

#[test]
fn a_session_of_aws() {
    let secret = "wJalrXUtnFEMI/K7MDENG+canaryOfAws/bPxRfiCY0123";
    let session = "FwoGZXIvYXdzEBYaDCanaryOfAnAwsSession/0123456789+abcdefghij==";
    let person = with_environment(
        &[("CLAUDE_CODE_USE_BEDROCK", "1"), ("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "ASIACANARYCANARY0123")],
        &[("aws secret", "AWS_SECRET_ACCESS_KEY", secret), ("aws session", "AWS_SESSION_TOKEN", session)],
    );
    let of = |name: &'static str| OF_THE_CLIENT.map(|place| (name, place));
    let table = [
        ("aws secret", "/home/.claude/.boxwood-aws.json"),
        ("aws session", "/home/.claude/.boxwood-aws.json"),
        ("aws secret", "socket:to the daemon"),
        ("aws session", "socket:to the daemon"),
    ];
    person.is_hunted("a session of AWS", |_| (), &table, &[of("aws secret"), of("aws session")].concat());
}
