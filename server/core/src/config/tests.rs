use super::*;

fn layer(text: &str) -> SandboxConfig {
    parse(text).expect("valid")
}

fn resolved(text: &str) -> Result<Resolved, ConfigError> {
    resolve(&merge(&[(ConfigSource::Request, layer(text))]).0)
}

#[test]
fn comments_and_trailing_commas_are_fine_and_unknown_names_are_not() {
    assert_eq!(layer("// a\n{\"memory\": \"2g\", /* b */}").memory.as_deref(), Some("2g"));
    assert_eq!(layer("{\"$schema\": \"x\"}"), SandboxConfig::default());
    assert_eq!(layer(""), SandboxConfig::default());
    for bad in ["{\"memry\": \"2g\"}", "{\"pids\": \"many\"}", "[]", "{", "{\"pids\": -1}"] {
        assert!(matches!(parse(bad), Err(ConfigError::Syntax(_))), "{bad}");
    }
}

#[test]
fn upper_layers_win_and_sources_are_told() {
    let (merged, sources) = merge(&[
        (ConfigSource::User, layer(r#"{"memory": "2g", "image": "a", "env": {"A": "1"}}"#)),
        (ConfigSource::Project, layer(r#"{"variant": "rust", "env": {"B": "2"}, "hostLogin": true}"#)),
        (ConfigSource::Request, layer(r#"{"memory": "4g"}"#)),
    ]);
    assert_eq!(merged.memory.as_deref(), Some("4g"));
    assert_eq!(merged.image, None, "a variant above an image replaces it");
    assert_eq!(merged.env.map(|env| env.len()), Some(2));
    assert_eq!(merged.host_login, Some(false), "a project cannot ask for the host's login");
    assert_eq!(sources.get("memory"), Some(&ConfigSource::Request));
    assert_eq!(sources.get("image"), None);
}

#[test]
fn a_project_gives_no_network_to_who_wants_none() {
    let network = |user: &str, project: &str| {
        merge(&[(ConfigSource::User, layer(user)), (ConfigSource::Project, layer(project))]).0.network
    };
    let (none, gateway) = (r#"{"network": "none"}"#, r#"{"network": "gateway"}"#);
    assert_eq!(network(none, gateway), Some(Network::None));
    assert_eq!(network(gateway, none), Some(Network::None));
    assert_eq!(network(r#"{"network": "open"}"#, gateway), Some(Network::Gateway));
}

#[test]
fn values_out_of_range_are_named() {
    let check = |text: &str, expected: &str| match resolved(text) {
        Err(ConfigError::Value { setting, .. }) => assert_eq!(setting, expected, "{text}"),
        other => panic!("{text}: {other:?}"),
    };
    check(r#"{"memory": "lots"}"#, "memory");
    check(r#"{"memory": "1m"}"#, "memory");
    check(r#"{"cpus": -1}"#, "cpus");
    check(r#"{"pids": 1}"#, "pids");
    check(r#"{"nofile": 1}"#, "nofile");
    check(r#"{"env": {"A=B": ""}}"#, "env");
    check(r#"{"env": {"HOME": "/x"}}"#, "env");
    check(r#"{"env": {"GITHUB_TOKEN": "x"}}"#, "env");
    check(r#"{"env": {"A": "\u0000"}}"#, "env");
    check(r#"{"protectedPaths": ["../x"]}"#, "protectedPaths");
    check(r#"{"dockerfile": "/etc/Dockerfile"}"#, "dockerfile");
    check(r#"{"image": "--privileged"}"#, "image");
    check(r#"{"image": "a", "dockerfile": "b"}"#, "image");
}

#[test]
fn a_project_cannot_widen_in_silence() {
    let check = |text: &str, count: usize| assert_eq!(widens(&layer(text)).len(), count, "{text}");
    check(r#"{"memory": "2g", "pids": 100, "variant": "rust", "network": "none"}"#, 0);
    check(r#"{"memory": "64g", "pids": 100000, "nofile": 1000000}"#, 3);
    check(r#"{"sshAgent": "on"}"#, 1);
    check(r#"{"sshAgent": "off"}"#, 0);
    check(r#"{"image": "x", "env": {"ANTHROPIC_BASE_URL": "http://elsewhere"}, "claudeArgs": ["--x"]}"#, 3);
}

/// The schema that editors show is generated from the declaration; its defaults are written there once more.
#[test]
fn the_schema_tells_the_defaults_that_count() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../extension/schemas/sandbox.schema.json")).expect("a schema");
    let defaults = serde_json::to_value(defaults()).expect("settings");
    let properties = schema["properties"].as_object().expect("properties");
    let mut told = 0;
    for (name, property) in properties {
        if let Some(default) = property.get("default") {
            let number = |value: &serde_json::Value| value.as_f64();
            assert!(default == &defaults[name] || number(default) == number(&defaults[name]), "{name}: {default}");
            told += 1;
        }
    }
    assert!(told >= 9, "only {told} defaults are told");
}
