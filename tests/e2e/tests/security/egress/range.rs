//! Where the attempts are made: a sandbox, another one beside it, a friend and a thief on the internet, a service of the
//! host.

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use boxwood_e2e::docker::{self, docker, inspect, try_docker};
use boxwood_e2e::internet::{self, Internet, Machine, addresses, gateway_of};
use boxwood_e2e::{World, until};
use serde_json::{Value, json};

use super::files::SECRET;

pub(super) struct Range {
    pub(super) world: World,
    pub(super) neighbour: World,
    pub(super) friend: Machine,
    pub(super) thief: Machine,
    host: HostService,
    internet: Internet,
    config: Mutex<Value>,
    marks: AtomicUsize,
    /// Notes of the thief that the range made itself.
    own_notes: usize,
}

/// A service of the host on all of its addresses, over TCP and with datagrams.
struct HostService {
    port: u16,
    visits: Arc<AtomicUsize>,
}

impl HostService {
    fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("it has an address").port();
        let datagrams = UdpSocket::bind(("0.0.0.0", port)).expect("the same port");
        let visits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visits);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                // The visitor may be gone.
                let _ = stream.write_all(b"host\n");
            }
        });
        let count = Arc::clone(&visits);
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((_, from)) = datagrams.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = datagrams.send_to(b"host\n", from);
            }
        });
        Self { port, visits }
    }
}

impl Range {
    pub(super) fn new() -> Self {
        let internet = Internet::new();
        let serving = json!({ "http": [80, 8080], "https": [443, 8443], "echo": [22, 7000], "datagrams": [53, 443] });
        let friend = internet.machine(internet::PLAIN, serving.clone());
        let mut watching = serving;
        watching["isWatching"] = json!(true);
        let thief = internet.machine(internet::PLAIN, watching);
        let mut world = World::new();
        let mut neighbour = World::with_project("neighbour");
        for world in [&mut world, &mut neighbour] {
            internet.trusted_by(world);
        }
        let config = policy(&internet, &friend, &thief);
        neighbour.configure(&config);
        lay_out(&world);
        world.configure(&config);
        let (ours, theirs) = std::thread::scope(|scope| {
            // A world is of one thread, so each start is a program of its own.
            let mut other = spawn_start(&neighbour);
            let ours = world.start();
            let theirs = scope.spawn(move || other.wait()).join().expect("it was waited for");
            (ours, theirs)
        });
        assert!(theirs.expect("the neighbour's start").success());
        assert_eq!(ours.sandbox.enforcement, boxwood_protocol::sandbox::Enforcement::Outside);
        for world in [&world, &neighbour] {
            internet.connect(&gateway_of(world));
        }
        let mut range = Self {
            world,
            neighbour,
            friend,
            thief,
            internet,
            host: HostService::start(),
            config: Mutex::new(config),
            marks: AtomicUsize::new(0),
            own_notes: 0,
        };
        range.names_of_places();
        range.check_itself();
        range
    }

    /// Where names lead whose places are known only now: also a change of the policy while it is in force.
    fn names_of_places(&self) {
        let (gateway, _) = self.inside();
        let (neighbour, _) = agent_of(&self.neighbour);
        self.change(|egress| {
            egress["hosts"]["itself.test"] = json!(gateway);
            egress["hosts"]["neighbour.test"] = json!(neighbour);
            egress["hosts"]["bridge.test"] = json!(docker::gateway());
        });
    }

    /// Changes the policy and waits until it is the gateway's.
    pub(super) fn change(&self, edit: impl FnOnce(&mut Value)) {
        let mut config = self.config.lock().expect("nobody panicked with it");
        edit(&mut config["egress"]);
        let mark = format!("mark-{}.test", self.marks.fetch_add(1, Ordering::SeqCst));
        config["egress"]["hosts"][&mark] = json!(self.friend.address);
        config["egress"]["allow"].as_array_mut().expect("a list").push(json!(mark));
        self.world.configure(&config);
        until("the new policy", || (self.inside_sh(&format!("./attack own {mark}")) == 0).then_some(()));
    }

    /// Runs a line in the sandbox by the engine itself, without the product.
    pub(super) fn inside_sh(&self, line: &str) -> i32 {
        let (_, container) = agent_of(&self.world);
        let directory = self.world.project().to_string_lossy().into_owned();
        let done =
            Command::new("docker").args(["exec", "--workdir", &directory, &container, "bash", "-c", line]).output();
        done.expect("there is a docker client").status.code().unwrap_or(-1)
    }

    /// Addresses of the gateway and of the sandbox in the network that they share.
    pub(super) fn inside(&self) -> (String, String) {
        let (agent, container) = agent_of(&self.world);
        let network = addresses(&container).into_iter().map(|(name, _)| name).next().unwrap_or_default();
        let gateway = addresses(&gateway_of(&self.world)).into_iter().find(|(name, _)| *name == network);
        (gateway.expect("they share a network").1, agent)
    }

    /// What was attempted must be possible from elsewhere, or its failure would mean nothing.
    fn check_itself(&mut self) {
        let script = format!("exec 3<>/dev/tcp/{}/{} && grep -q host <&3", docker::gateway(), self.host.port);
        let _ = docker(["run", "--rm", "debian:bookworm-slim", "bash", "-c", &script]);
        assert_eq!(self.host.visits.swap(0, Ordering::SeqCst), 1, "the host's service is there");
        // What reaches the thief is noted: the packet, what was in it, the answer.
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.send_to(b"hello", (self.thief.address, 53)).expect("sent");
        self.own_notes = until("the thief's notes", || Some(self.thief.notes().len()).filter(|count| *count >= 3));
        let (neighbour, container) = agent_of(&self.neighbour);
        let directory = self.neighbour.project().to_string_lossy().into_owned();
        let _ = docker(["exec", "--detach", "--workdir", &directory, &container, "./attack", "listen", "7777"]);
        until("the neighbour's service", || {
            let talk = [
                "exec",
                "--workdir",
                &directory,
                &container,
                "./attack",
                "talk",
                &format!("{neighbour}:7777"),
                "send=x",
                "read=neighbour: x",
            ];
            try_docker(&talk).ok()
        });
    }

    /// What the scripts know, as shell assignments.
    pub(super) fn settings(&self) -> String {
        let (gateway, agent) = self.inside();
        let outside = |world: &World, own: &str| {
            let all = addresses(&gateway_of(world)).into_iter().map(|(_, address)| address);
            all.filter(|address| address != own).collect::<Vec<_>>().join(" ")
        };
        let (neighbour, container) = agent_of(&self.neighbour);
        let network = addresses(&container).into_iter().map(|(name, _)| name).next().unwrap_or_default();
        let theirs =
            addresses(&gateway_of(&self.neighbour)).into_iter().find(|(name, _)| *name == network).expect("one").1;
        let mut bridges = vec![docker::gateway(), self.internet.host().to_string()];
        for (name, _) in addresses(&gateway_of(&self.world)) {
            let format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
            bridges.extend(
                docker(["network", "inspect", "--format", format, &name]).split_whitespace().map(str::to_owned),
            );
        }
        let own = Command::new("hostname").arg("-I").output().map(|done| done.stdout).unwrap_or_default();
        bridges
            .extend(String::from_utf8_lossy(&own).split_whitespace().filter(|to| !to.contains(':')).map(str::to_owned));
        bridges.sort();
        bridges.dedup();
        bridges.retain(|bridge| *bridge != gateway && !bridge.is_empty());
        format!(
            "GATEWAY={gateway}\nME={agent}\nSUBNET={gateway}\nFRIEND={}\nTHIEF={}\nHOST_PORT={}\nBRIDGES='{}'\nNEIGHBOUR={neighbour}\nNEIGHBOUR_GATEWAY={theirs}\n\
             NEIGHBOUR_OUTSIDE='{}'\nOUTSIDE='{}'\nexport PATH=\"$PATH:/usr/sbin:/sbin\"\n",
            self.friend.address,
            self.thief.address,
            self.host.port,
            bridges.join(" "),
            outside(&self.neighbour, &theirs).split(' ').next().unwrap_or_default(),
            outside(&self.world, &gateway),
        )
    }

    /// What got somewhere that it must not, if anything did.
    pub(super) fn reached(&self) -> Option<String> {
        let visits = self.host.visits.swap(0, Ordering::SeqCst);
        if visits > 0 {
            return Some(format!("{visits} visits to the host's service"));
        }
        let notes = self.thief.notes().split_off(self.own_notes);
        if !notes.is_empty() {
            let shown: Vec<_> = notes.iter().take(5).map(Value::to_string).collect();
            return Some(format!("{} notes of the thief: {}", notes.len(), shown.join(", ")));
        }
        let is_foreign = |note: &Value| {
            let told = [&note["host"], &note["sni"], &note["uri"]].map(Value::to_string).join(" ");
            ["thief", "tenant", "itself", "metadata", "denied", "secret"].iter().any(|word| told.contains(word))
        };
        let expected = |note: &Value| {
            note["uri"].as_str().is_some_and(|uri| {
                uri.contains("redirect?to=") || uri.contains("dns-query") || uri.contains("secret=no")
            })
        };
        let foreign = self.friend.notes().into_iter().find(|note| is_foreign(note) && !expected(note));
        foreign.map(|note| format!("the friend was asked for somebody else: {note}"))
    }
}

/// Address and id of the container of a world's only sandbox.
pub(super) fn agent_of(world: &World) -> (String, String) {
    let of_world = world.containers();
    let is_agent =
        |id: &&String| inspect(id).is_some_and(|detail| detail["Config"]["Labels"]["dev.boxwood.role"] == "sandbox");
    let agent = of_world.iter().find(is_agent).expect("there is a sandbox").clone();
    (addresses(&agent).into_iter().next().expect("it has a network").1, agent)
}

fn spawn_start(world: &World) -> std::process::Child {
    std::fs::copy(internet::tool(), world.project().join("attack")).expect("copied");
    Command::new(boxwood_e2e::world::program())
        .args(["start", "--json"])
        .env_clear()
        .envs(world.environment().iter().map(|(name, value)| (name, value)))
        .current_dir(world.project())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the program starts")
}

fn policy(internet: &Internet, friend: &Machine, thief: &Machine) -> Value {
    let (friend, thief) = (friend.address, thief.address);
    let _ = internet;
    json!({
        "network": "gateway",
        "maskedPaths": [".env", "secrets", "**/*.pem"],
        "egress": {
            "default": "deny",
            "allow": ["friend.test", "*.wild.test", "*.leak.test", "echo.test:7000", "metadata.test", "loopback.test", "loopback.test:3128", "private.test", "itself.test", "itself.test:3128", "nowhere.test", "neighbour.test", "bridge.test"],
            "deny": ["thief.test", "denied.wild.test", "dns.test"],
            "rules": [
                { "host": "cdn.test", "action": "allow", "inspect": true },
                { "host": "api.test", "action": "allow", "methods": ["GET"], "paths": ["/allowed/*"] },
            ],
            "hosts": {
                "friend.test": friend, "any.wild.test": friend, "echo.test": friend, "cdn.test": friend, "api.test": friend,
                "tenant.test": friend, "thief.test": thief, "dns.test": thief, "denied.wild.test": thief,
                "metadata.test": "169.254.169.254", "loopback.test": "127.0.0.1", "private.test": "10.0.0.1",
                "nowhere.test": "0.0.0.0",
            },
            "limits": { "connectionsPerSecond": 5000, "connections": 4000 },
        },
    })
}

/// The files of the project that the attempts are about.
fn lay_out(world: &World) {
    std::fs::copy(internet::tool(), world.project().join("attack")).expect("copied");
    for path in [".env", "secrets/one", "secrets/deep/two", "deep/down/key.pem"] {
        world.write(path, SECRET);
    }
    for path in ["open.txt", "loose.txt", "loose/one", "deep/down/readme"] {
        world.write(path, "open loose\n");
    }
    symlink(".env", world.project().join("link-to-env")).expect("a link");
    symlink("open.txt", world.project().join("link-to-open")).expect("a link");
}
