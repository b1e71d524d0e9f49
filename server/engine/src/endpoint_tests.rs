use std::collections::HashMap;

use super::*;

/// A machine described by its variables, files (by path) and sockets.
fn find(env: &[(&str, &str)], files: &[(&str, &str)], sockets: &[&str]) -> Result<String, String> {
    let env: HashMap<_, _> = env.iter().copied().collect();
    let files: HashMap<_, _> = files.iter().copied().collect();
    let name = |path: &Path| path.to_str().unwrap_or_default().replace('\\', "/");
    resolve(&Surroundings {
        env: &|variable| env.get(variable).map(|value| (*value).to_owned()),
        read: &|path| files.get(name(path).as_str()).map(|text| (*text).to_owned()),
        exists: &|path| sockets.contains(&name(path).as_str()),
    })
    .map(|endpoint| format!("{endpoint} from {}", endpoint.source))
    .map_err(|error| error.to_string())
}

#[track_caller]
fn check(found: &Result<String, String>, expected: &str) {
    assert_eq!(found.as_deref(), Ok(expected));
}

/// The endpoint of an engine that nobody said anything about.
#[track_caller]
fn check_default(found: &Result<String, String>) {
    check(found, &format!("{DEFAULT_ENDPOINT} from default"));
}

#[track_caller]
fn check_refused(found: Result<String, String>, expected: &str) {
    let reason = found.expect_err("the endpoint must be refused");
    assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
}

const WORK: &str =
    r#"{"Name":"work","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://10.0.0.5:2375","SkipTLSVerify":false}}}"#;
/// Digest of the name `work`, which the Docker command makes its directory.
const WORK_KEY: &str = "00e13ed7af55b27622f1d6eab5bec0147e68efe28dc2b12461117afa1a5ed40e";

fn work_meta(home: &str) -> String {
    format!("{home}/contexts/meta/{WORK_KEY}/meta.json")
}

#[test]
fn the_default_socket_is_used_when_nothing_is_said() {
    check_default(&find(&[], &[], &[]));
}

#[test]
fn docker_host_wins_over_every_context() {
    let env = [("DOCKER_HOST", "unix:///run/other.sock"), ("DOCKER_CONTEXT", "work"), ("HOME", "/h")];
    check(&find(&env, &[(&work_meta("/h/.docker"), WORK)], &[]), "unix:///run/other.sock from DOCKER_HOST");
}

#[test]
fn an_empty_docker_host_says_nothing() {
    check_default(&find(&[("DOCKER_HOST", "")], &[], &[]));
}

#[test]
fn addresses_are_understood() {
    for (given, expected) in [
        ("tcp://build:2376", "tcp://build:2376"),
        ("tcp://build", "tcp://build:2375"),
        ("http://build:80/", "tcp://build:80"),
        ("tcp://:2375", "tcp://localhost:2375"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
        ("tcp://[::1]", "tcp://[::1]:2375"),
        ("npipe:////./pipe/docker_engine", "npipe:////./pipe/docker_engine"),
        ("unix:///a b/ü.sock", "unix:///a b/ü.sock"),
    ] {
        check(&find(&[("DOCKER_HOST", given)], &[], &[]), &format!("{expected} from DOCKER_HOST"));
    }
}

#[test]
fn addresses_that_cannot_be_used_are_refused_with_a_way_out() {
    for (given, expected) in [
        ("ssh://me@build", "forward the socket"),
        ("https://build", "TLS is not supported"),
        ("fd://", "only unix://, tcp:// and npipe://"),
        ("unix://docker.sock", "must be absolute"),
        ("/var/run/docker.sock", "no scheme"),
        ("tcp://", "tcp://HOST:PORT"),
        ("tcp://build:many", "tcp://HOST:PORT"),
        ("tcp://user@build:1", "tcp://HOST:PORT"),
    ] {
        check_refused(find(&[("DOCKER_HOST", given)], &[], &[]), expected);
    }
    check_refused(find(&[("DOCKER_HOST", "tcp://b:1"), ("DOCKER_TLS_VERIFY", "1")], &[], &[]), "TLS");
}

#[test]
fn the_current_context_comes_from_the_commands_configuration() {
    let files =
        [("/h/.docker/config.json", r#"{"auths":{},"currentContext":"work"}"#), (&work_meta("/h/.docker"), WORK)];
    check(&find(&[("HOME", "/h")], &files, &[]), "tcp://10.0.0.5:2375 from context work");
}

#[test]
fn docker_config_moves_the_configuration() {
    let files = [("/c/config.json", r#"{"currentContext":"work"}"#), (&work_meta("/c"), WORK)];
    check(&find(&[("HOME", "/h"), ("DOCKER_CONFIG", "/c")], &files, &[]), "tcp://10.0.0.5:2375 from context work");
}

#[test]
fn docker_context_wins_over_the_current_one() {
    let files = [("/h/.docker/config.json", r#"{"currentContext":"gone"}"#), (&work_meta("/h/.docker"), WORK)];
    let env = [("HOME", "/h"), ("DOCKER_CONTEXT", "work")];
    check(&find(&env, &files, &[]), "tcp://10.0.0.5:2375 from context work");
    check_default(&find(&[("HOME", "/h"), ("DOCKER_CONTEXT", "default")], &files, &[]));
}

#[test]
fn a_context_that_cannot_be_used_is_refused_rather_than_replaced() {
    check_refused(find(&[("HOME", "/h"), ("DOCKER_CONTEXT", "work")], &[], &[]), "no such context");
    let meta = work_meta("/h/.docker");
    let env = [("HOME", "/h"), ("DOCKER_CONTEXT", "work")];
    check_refused(find(&env, &[(&meta, "{")], &[]), "not understood");
    let over_ssh = r#"{"Endpoints":{"docker":{"Host":"ssh://me@build"}}}"#;
    check_refused(find(&env, &[(&meta, over_ssh)], &[]), "ssh");
    let tls = meta.replace("/meta/", "/tls/").replace("/meta.json", "/docker");
    check_refused(find(&env, &[(&meta, WORK)], &[&tls]), "TLS");
}

#[cfg(unix)]
#[test]
fn a_rootless_engine_is_found_when_the_usual_socket_is_not_there() {
    let env = [("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/h")];
    let rootless = "/run/user/7/docker.sock";
    check(&find(&env, &[], &[rootless]), "unix:///run/user/7/docker.sock from default");
    check(&find(&env, &[], &[rootless, "/var/run/docker.sock"]), "unix:///var/run/docker.sock from default");
    check(&find(&env, &[], &["/h/.docker/run/docker.sock"]), "unix:///h/.docker/run/docker.sock from default");
}

#[test]
fn a_broken_configuration_names_no_context() {
    let files = [("/h/.docker/config.json", "not json")];
    check_default(&find(&[("HOME", "/h")], &files, &[]));
}
