//! The gateway in the very container that it holds back: nothing but it gets out, and the user inside cannot change that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use boxwood_e2e::docker::{docker, try_docker};
use boxwood_e2e::wait::until;
use boxwood_e2e::world::repository;
use serde_json::{Value, json};
use tempfile::TempDir;

const IMAGE: &str = "boxwood-test-inside";

/// Answers every request with one word.
const SERVER: &str = "
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('0.0.0.0', 80)); s.listen(16)
while True:
    c, _ = s.accept(); c.recv(4096); c.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 7\\r\\nconnection: close\\r\\n\\r\\nreached'); c.close()
";

/// Asks a foreign resolver for a name, which the gateway answers, then sends a datagram past it, which must fail.
const DATAGRAMS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(('8.8.8.8', 53))
s.send(bytes.fromhex('123401000001000000000000') + b'\\x02up\\x04test\\x00\\x00\\x01\\x00\\x01')
if s.recv(512)[-4:-2] != bytes([198, 18]): sys.exit(0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'out', (sys.argv[1], 9))
";

/// The container, and the one that it may or may not reach. Both go with it.
struct Place {
    own: TempDir,
    containers: Vec<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        for container in &self.containers {
            // One that is not there any more is as good as removed.
            let _ = try_docker(&["rm", "--force", container]);
        }
    }
}

fn ensure_image() {
    if try_docker(&["image", "inspect", IMAGE]).is_err() {
        let definition = fs::File::open(repository().join("images/test/inside.Dockerfile")).expect("it is there");
        let built = Command::new("docker").args(["build", "--quiet", "--tag", IMAGE, "-"]).stdin(definition).output();
        let built = built.expect("there is a docker client");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
}

fn program() -> PathBuf {
    let named = std::env::var_os("BOXWOOD_GATEWAY").map(PathBuf::from);
    named.unwrap_or_else(|| repository().join("target/release/boxwood-gateway"))
}

impl Place {
    /// With these capabilities beside those that every one has; `before` runs as root before the rules are set.
    fn new(capabilities: &[&str], before: &str) -> Self {
        ensure_image();
        let own = tempfile::Builder::new().prefix("boxwood-test-").tempdir().expect("a directory");
        // Root in the container is without the right to read what is another user's alone.
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let run = ["run", "--detach", IMAGE, "python3", "-c", SERVER];
        let mut place = Self { containers: vec![docker(run)], own };
        place.policy(true);
        let script = format!(
            "{before} boxwood-gateway inside --user dev --policy /policy/policy.json --when-refused 7; echo left $?; exec sleep infinity"
        );
        let program = format!("{}:/usr/local/bin/boxwood-gateway:ro", program().display());
        let policy = format!("{}:/policy:ro", place.own.path().display());
        let mut arguments = vec!["run", "--detach", "--init", "--cap-drop", "ALL"];
        for capability in ["SETUID", "SETGID", "SETPCAP", "KILL"].iter().chain(capabilities) {
            arguments.extend(["--cap-add", capability]);
        }
        arguments.extend(["--security-opt", "no-new-privileges", "--sysctl", "net.ipv4.ip_forward=0"]);
        arguments.extend(["--volume", &program, "--volume", &policy, IMAGE, "sh", "-c", &script]);
        place.containers.push(docker(arguments));
        place
    }

    fn server(&self) -> String {
        docker(["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &self.containers[0]])
    }

    /// Replaces the policy by one that does or does not name the server.
    fn policy(&self, allows: bool) {
        let rule = json!({ "host": "up.test", "ports": [80], "action": "allow", "private": true });
        let rules = if allows { vec![rule] } else { Vec::new() };
        let policy = json!({ "presets": [], "rules": rules, "hosts": { "up.test": self.server() } });
        let new = self.own.path().join("new");
        fs::write(&new, policy.to_string()).expect("written");
        fs::rename(new, self.own.path().join("policy.json")).expect("replaced");
    }

    fn run(&self, user: &str, line: &str) -> Result<String, String> {
        try_docker(&["exec", "--user", user, &self.containers[1], "sh", "-c", line])
    }

    fn status(&self) -> Option<Value> {
        serde_json::from_str(&self.run("dev", "cat /run/boxwood/inside.json").ok()?).ok()
    }

    fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || self.status().filter(&fits))
    }

    fn reaches(&self) -> bool {
        self.run("dev", "curl -fsS --max-time 10 http://up.test/").is_ok_and(|text| text == "reached")
    }

    /// Everything that must not get out, with the name that does before and after it.
    #[track_caller]
    fn holds(&self) {
        assert!(self.reaches(), "the name that the policy has is not reached");
        let server = self.server();
        for user in ["dev", "root"] {
            for line in [
                format!("curl -fsS --max-time 3 http://{server}/"),
                format!("curl -fsS --max-time 3 --resolve up.test:80:{server} http://up.test/"),
                "curl -fsS --max-time 3 http://other.test/".to_owned(),
                "curl -fsS --max-time 3 -g 'http://[2001:db8::1]/'".to_owned(),
                "curl -fsS --max-time 3 -H 'Host: other.test' http://up.test/".to_owned(),
            ] {
                assert!(self.run(user, &line).is_err(), "'{line}' as {user} got out");
            }
        }
        let told = try_docker(&["exec", "--user", "dev", &self.containers[1], "python3", "-c", DATAGRAMS, &server]);
        assert!(told.is_err(), "a datagram got out");
        let line = "python3 -c 'import socket; print(socket.gethostbyname(\"up.test\"))'";
        let told = self.run("dev", line).expect("names are answered");
        assert!(told.starts_with("198.18."), "an answer does not come from the gateway: {told}");
        assert!(self.reaches(), "it is still reached");
    }
}

fn in_every_form(check: impl Fn(&Place, &str)) {
    for (name, before) in [("nftables", ""), ("iptables", "rm /usr/sbin/nft;")] {
        let place = Place::new(&["NET_ADMIN"], before);
        let status = place.wait_for("its policy", |status| status["revision"] == 1);
        assert_eq!((&status["label"], &status["rules"]), (&json!("inside"), &json!(name)));
        check(&place, name);
    }
}

#[test]
fn nothing_but_the_gateway_gets_out() {
    in_every_form(|place, _| {
        place.holds();
        place.policy(false);
        let _ = place.wait_for("the new policy", |status| status["revision"] == 2);
        assert!(!place.reaches(), "what the policy no longer names is still reached");
        place.policy(true);
        let _ = place.wait_for("the old policy", |status| status["revision"] == 3);
        place.holds();
    });
}

#[test]
fn rules_that_are_taken_away_come_back_and_the_user_cannot_take_them() {
    in_every_form(|place, name| {
        let flush = if name == "nftables" { "nft flush ruleset" } else { "iptables -P OUTPUT ACCEPT && iptables -F" };
        let kill = "for p in /proc/[0-9]*; do grep -qs '^Name:.\\(boxwood-gateway\\|exe\\)' $p/status && kill -9 ${p#/proc/} && exit 0; done; exit 1";
        for line in [flush, kill, "echo x >/run/boxwood/inside.json"] {
            assert!(place.run("dev", line).is_err(), "'{line}' was possible");
        }
        let _ = place.run("root", flush).expect("root can");
        let _ = place.wait_for("the rules", |status| status["setAgain"] == 1);
        place.holds();
    });
}

#[test]
fn a_gateway_that_ends_leaves_the_wall_and_is_started_again() {
    in_every_form(|place, _| {
        let kill = "for p in /proc/[0-9]*; do grep -qs '^Uid:.65532' $p/status && kill -9 ${p#/proc/}; done; true";
        let _ = place.run("root", kill).expect("root can");
        assert!(place.run("dev", &format!("curl -fsS --max-time 2 http://{}/", place.server())).is_err());
        let _ = place.wait_for("another gateway", |status| status["revision"] == 2);
        until("the way out", || place.reaches().then_some(()));
        place.holds();
    });
}

#[test]
fn without_the_right_to_set_rules_it_says_that_the_network_is_open() {
    let place = Place::new(&[], "");
    let status = place.wait_for("its word", |status| status["label"] == "off");
    assert!(status["reason"].as_str().is_some_and(|reason| reason.contains("cannot be set")), "{status}");
    let said = until("the end", || {
        let output = Command::new("docker").args(["logs", &place.containers[1]]).output().expect("there is a client");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        said.contains("left 7").then_some(said)
    });
    assert_eq!(said.matches("THE NETWORK IS OPEN").count(), 1, "{said}");
}
