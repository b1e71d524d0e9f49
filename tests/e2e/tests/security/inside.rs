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

/// Connects to a port and says nothing.
const SILENT: &str = "
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); s.settimeout(10); sys.exit(0 if s.recv(1) else 1)
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

/// What a container has beside what every one has.
#[derive(Clone, Copy)]
struct Form<'a> {
    capabilities: &'a [&'a str],
    /// Runs as root before the rules are set.
    before: &'a str,
    user: &'a str,
    sysctls: &'a [&'a str],
}

const ORDINARY: Form<'static> = Form { capabilities: &["NET_ADMIN"], before: "", user: "dev", sysctls: &[] };

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
    fn new(form: Form<'_>) -> Self {
        let Form { capabilities, before, user, sysctls } = form;
        ensure_image();
        let own = tempfile::Builder::new().prefix("boxwood-test-").tempdir().expect("a directory");
        // Root in the container is without the right to read what is another user's alone.
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let run = ["run", "--detach", IMAGE, "python3", "-c", SERVER];
        let mut place = Self { containers: vec![docker(run)], own };
        place.policy(true);
        let script = format!(
            "{before} boxwood-gateway inside --user {user} --policy /policy/policy.json --when-refused 7; echo left $?; exec sleep infinity"
        );
        let program = format!("{}:/usr/local/bin/boxwood-gateway:ro", program().display());
        let policy = format!("{}:/policy:ro", place.own.path().display());
        let mut arguments = vec!["run", "--detach", "--init", "--cap-drop", "ALL"];
        for capability in ["SETUID", "SETGID", "SETPCAP", "KILL"].iter().chain(capabilities) {
            arguments.extend(["--cap-add", capability]);
        }
        for sysctl in ["net.ipv4.ip_forward=0"].iter().chain(sysctls) {
            arguments.extend(["--sysctl", sysctl]);
        }
        arguments.extend(["--security-opt", "no-new-privileges"]);
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
        self.rules(if allows { std::slice::from_ref(&rule) } else { &[] });
    }

    fn rules(&self, rules: &[Value]) {
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

    /// What the gateway and who watches over it said.
    fn said(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.containers[1]]).output().expect("there is a client");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn says(&self, what: &str) -> String {
        until(what, || Some(self.said()).filter(|said| said.contains(what)))
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
        let place = Place::new(Form { before, ..ORDINARY });
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
        // All of them, then the redirection alone, then one that lets everybody out.
        let (turning, opening) = match name {
            "nftables" => ("nft delete table ip boxwood_names", "nft insert rule inet boxwood output accept"),
            _ => ("iptables -t nat -F BOXWOOD_NAMES", "iptables -I OUTPUT 1 -j ACCEPT"),
        };
        for (line, times) in [(flush, 1), (turning, 2), (opening, 3)] {
            let _ = place.run("root", line).expect("root can");
            let _ = place.wait_for("the rules", |status| status["setAgain"] == times);
            place.holds();
        }
        let said = place.says("they are set again");
        assert_eq!(said.matches("the rules were changed by somebody").count(), 3, "{said}");
    });
}

#[test]
fn connections_to_addresses_are_judged_and_logged() {
    in_every_form(|place, _| {
        let server = place.server();
        let reached = |user: &str| place.run(user, &format!("curl -fsS --max-time 5 http://{server}/"));
        for user in ["dev", "root"] {
            assert!(reached(user).is_err(), "{user} reached an address that no rule names");
        }
        let _ = place.says(&format!("refused {server}:80 (by policy)"));
        // Whatever is spoken there, or nothing, and on ports that no rule names.
        let silent = ["exec", "--user", "dev", &place.containers[1], "python3", "-c", SILENT, &server, "5555"];
        assert!(try_docker(&silent).is_err(), "somebody answered");
        let _ = place.says(&format!("refused {server}:5555 (by policy)"));
        let line = format!("curl -fsS --max-time 3 --resolve up.test:80:{server} http://up.test/");
        assert!(place.run("dev", &line).is_err(), "a name on an address got out");
        let _ = place.says("(name-mismatch)");
        place.rules(&[json!({ "host": server, "ports": [80], "action": "allow" })]);
        let _ = place.wait_for("the new policy", |status| status["revision"] == 2);
        for user in ["dev", "root"] {
            assert_eq!(reached(user).as_deref(), Ok("reached"), "{user}: a rule names the address");
        }
    });
}

#[test]
fn for_a_user_whom_no_rule_holds_nobody_gets_out() {
    for (user, before) in [("root", ""), ("65532", ""), ("65532", "rm /usr/sbin/nft;")] {
        let place = Place::new(Form { user, before, ..ORDINARY });
        let status = place.wait_for("its word", |status| status["label"] == "inside" && status["reason"] != "");
        assert!(
            status["reason"].as_str().is_some_and(|reason| reason.starts_with("nothing is let through")),
            "{status}"
        );
        let line = format!("curl -fsS --max-time 3 http://{}/", place.server());
        for who in ["dev", "root", "65532"] {
            assert!(place.run(who, &line).is_err(), "{who} got out");
        }
    }
}

#[test]
fn where_only_ipv6_cannot_be_held_it_says_that_and_holds_the_rest() {
    let before = "rm /usr/sbin/nft /usr/sbin/ip6tables-restore;";
    let sixes = ["net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0"];
    for (sysctls, label, word) in [(&[][..], "inside", "IPv6 has no rules"), (&sixes, "off", "IPv6 is open")] {
        let place = Place::new(Form { before, sysctls, ..ORDINARY });
        let status = place.wait_for("its word", |status| status["revision"] == 1 && status["label"] == label);
        let reason = status["reason"].as_str().expect("a text");
        assert!(reason.contains(word) && reason.contains("IPv4 is held") && reason.contains("ip6tables"), "{status}");
        place.holds();
        let said = place.said();
        assert!(!said.contains("THE NETWORK IS OPEN"), "{said}");
        assert_eq!(said.matches("IPV6 IS OPEN").count(), usize::from(label == "off"), "{said}");
    }
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
    let place = Place::new(Form { capabilities: &[], ..ORDINARY });
    let status = place.wait_for("its word", |status| status["label"] == "off");
    assert!(status["reason"].as_str().is_some_and(|reason| reason.contains("cannot be set")), "{status}");
    let said = place.says("left 7");
    assert_eq!(said.matches("THE NETWORK IS OPEN").count(), 1, "{said}");
}
