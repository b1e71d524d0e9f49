//! What stands in environments, and what it gives.

use super::*;

fn read(variables: &[(&str, &str)]) -> Environment {
    let held = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
    Environment::read(ClientEnvironment::read(&held))
}

fn only(variables: &[(&str, &str)]) -> (CredentialSource, Found) {
    let read = read(variables);
    assert_eq!(read.findings.len(), 1, "{:?}", read.findings);
    (read.findings[0].source, read.findings[0].found)
}

#[test]
fn servers_are_read_from_urls() {
    let check = |url: &str, expected: Option<(&str, u16, bool)>| {
        let got = Server::of_url(url).map(|server| {
            let host = match server.host {
                Host::Name(name) => name,
                Host::Address(address) => address.to_string(),
            };
            (host, server.port, server.is_tls)
        });
        assert_eq!(got, expected.map(|(host, port, tls)| (host.to_owned(), port, tls)), "{url}");
    };
    check("https://llm.example", Some(("llm.example", 443, true)));
    check("HTTPS://LLM.example./v1/", Some(("llm.example", 443, true)));
    check("http://10.0.0.7:8080/anthropic", Some(("10.0.0.7", 8080, false)));
    check("http://[fd00::7]:80", Some(("fd00::7", 80, false)));
    check("http://[fd00::7]", Some(("fd00::7", 80, false)));
    for wrong in [
        "",
        "llm.example",
        "ftp://llm.example",
        "https://",
        "https://user:pass@llm.example",
        "https://llm.example?key=1",
        "https://llm.example/#x",
        "https://llm.example:0",
        "https://llm.example:99999",
        "https://llm.example:",
        "https://a b",
        "https://llm.example\\@evil.example",
        "https://llm.example\nx",
    ] {
        check(wrong, None);
    }
}

#[test]
fn a_rule_opens_the_endpoint_and_only_it() {
    let rule = Server::of_url("http://192.168.1.5:4000").expect("a server").rule();
    assert_eq!(
        (rule.host.as_str(), rule.ports, rule.private, rule.inspect),
        ("192.168.1.5", Some(vec![4000]), Some(true), Some(true))
    );
    assert_eq!(Endpoint::default().server().rule().private, None);
    assert!(Server::of_url("http://localhost:1").is_some_and(|server| server.is_loopback()));
    assert!(Server::of_url("http://127.1.2.3").is_some_and(|server| server.is_loopback()));
}

#[test]
fn keys_and_tokens_are_told_apart() {
    use CredentialSource::{EnvironmentKey, EnvironmentLogin, EnvironmentToken};
    assert_eq!(only(&[("ANTHROPIC_API_KEY", "k")]), (EnvironmentKey, Found::Usable));
    assert_eq!(only(&[("ANTHROPIC_AUTH_TOKEN", "t")]), (EnvironmentToken, Found::Usable));
    assert_eq!(only(&[("CLAUDE_CODE_OAUTH_TOKEN", "o")]), (EnvironmentLogin, Found::Usable));
    assert_eq!(only(&[("ANTHROPIC_API_KEY", "k\nx: y")]), (EnvironmentKey, Found::Unusable(Problem::NotAToken)));
    let nothing = read(&[("ANTHROPIC_API_KEY", ""), ("CI", "true"), ("ANTHROPIC_MODEL", "m")]);
    assert!(nothing.findings.is_empty() && nothing.is_ci && nothing.endpoint.models.len() == 1);
    assert!(!read(&[("CI", "false")]).is_ci);
}

#[test]
fn a_key_belongs_to_its_endpoint() {
    let read = read(&[
        ("ANTHROPIC_AUTH_TOKEN", " t\n"),
        ("ANTHROPIC_BASE_URL", "https://llm.example:8443/v1"),
        ("ANTHROPIC_DEFAULT_OPUS_MODEL", "big"),
    ]);
    let Some(Material::Key { value, form, endpoint }) = read.materials.get(&CredentialSource::EnvironmentToken) else {
        panic!("{:?}", read.materials);
    };
    assert_eq!((value.reveal(), *form), ("t", KeyForm::Bearer), "copied with a line break at its end");
    assert_eq!(endpoint.server(), Server::of_url("https://llm.example:8443").expect("a server"));
    assert_eq!(endpoint.models.get("ANTHROPIC_DEFAULT_OPUS_MODEL").map(String::as_str), Some("big"));
    assert_eq!(read.endpoint, *endpoint);
    // A key for an endpoint that cannot be read is not sent to Anthropic instead.
    let broken = [("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_BASE_URL", "https://u:p@llm.example")];
    assert_eq!(only(&broken), (CredentialSource::EnvironmentKey, Found::Unusable(Problem::NotAnEndpoint)));
}

#[test]
fn bedrock_has_a_key_or_temporary_credentials() {
    use CredentialSource::{BedrockKey, BedrockSession};
    let on = ("CLAUDE_CODE_USE_BEDROCK", "1");
    let (region, key) = (("AWS_REGION", "us-east-1"), ("AWS_BEARER_TOKEN_BEDROCK", "b"));
    let (id, secret, session) =
        (("AWS_ACCESS_KEY_ID", "i"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t"));
    assert_eq!(only(&[on, region, key]), (BedrockKey, Found::Usable));
    assert_eq!(only(&[on, ("AWS_DEFAULT_REGION", "eu-west-1"), key]), (BedrockKey, Found::Usable));
    assert_eq!(only(&[on, key]), (BedrockKey, Found::Unusable(Problem::Missing("AWS_REGION"))));
    assert_eq!(
        only(&[on, ("AWS_REGION", "evil.example/"), key]),
        (BedrockKey, Found::Unusable(Problem::Missing("AWS_REGION")))
    );
    assert_eq!(only(&[on, region, id, secret, session]), (BedrockSession, Found::Usable));
    assert_eq!(only(&[on, region, id, secret]), (BedrockSession, Found::Unusable(Problem::LongLived)));
    assert_eq!(only(&[on, region, id]), (BedrockSession, Found::Unusable(Problem::NoAwsCredentials)));
    // AWS credentials that are there for something else are not looked at.
    assert!(read(&[region, key, id, secret, session]).findings.is_empty());
    assert!(read(&[("CLAUDE_CODE_USE_BEDROCK", "0"), region, key]).findings.is_empty());
}

#[test]
fn vertex_needs_its_project_and_region() {
    let on = ("CLAUDE_CODE_USE_VERTEX", "true");
    let (region, project) = (("CLOUD_ML_REGION", "us-east5"), ("ANTHROPIC_VERTEX_PROJECT_ID", "p-1"));
    let vertex = read(&[on, region, project]).vertex.expect("its place");
    assert_eq!((vertex.region.as_str(), vertex.project.as_str()), ("us-east5", "p-1"));
    let missing = |name| (CredentialSource::Vertex, Found::Unusable(Problem::Missing(name)));
    assert_eq!(only(&[on, project]), missing("CLOUD_ML_REGION"));
    assert_eq!(only(&[on, region]), missing("ANTHROPIC_VERTEX_PROJECT_ID"));
}

#[test]
fn nothing_is_shown() {
    let shown = format!("{:?}", read(&[("ANTHROPIC_API_KEY", "s3cret"), ("CLAUDE_CODE_OAUTH_TOKEN", "s3cret")]));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn an_address_behind_a_gateway_gets_a_name_wherever_the_url_comes_from() {
    let endpoint =
        |url: &str| Endpoint { url: Server::of_url(url).map(|server| (url.to_owned(), server)), ..Endpoint::default() };
    let mut by_address = endpoint("http://10.0.0.7:4000/v1");
    by_address.behind_gateway().expect("reachable");
    let (url, server) = by_address.url.clone().expect("a URL");
    assert_eq!(url, "http://endpoint.boxwood.internal:4000/v1");
    assert_eq!(server.address, "10.0.0.7".parse().ok());
    let rule = server.rule();
    let said = (rule.host.as_str(), rule.ports.as_deref(), rule.private, rule.inspect);
    assert_eq!(said, ("endpoint.boxwood.internal", Some([4000].as_slice()), Some(true), Some(true)));
    let once = by_address.clone();
    by_address.behind_gateway().expect("reachable");
    assert_eq!(by_address, once, "said again, nothing changes");

    let mut public = endpoint("http://1.2.3.4");
    public.behind_gateway().expect("reachable");
    assert_eq!(public.server().rule().private, None, "nothing private is opened for it");
    let mut by_name = endpoint("https://llm.example/v1");
    let before = by_name.clone();
    by_name.behind_gateway().expect("reachable");
    assert_eq!(by_name, before);
    assert_eq!(Endpoint::default().behind_gateway(), Ok(()));
    for (url, why) in [
        ("https://10.0.0.7", EndpointError::TlsWithAddress),
        ("http://[fd00::1]:4000", EndpointError::Ipv6),
        ("http://127.0.0.1:4000", EndpointError::Loopback),
    ] {
        let (mut refused, before) = (endpoint(url), endpoint(url));
        assert_eq!((refused.behind_gateway(), &refused), (Err(why), &before), "{url}");
    }
}
