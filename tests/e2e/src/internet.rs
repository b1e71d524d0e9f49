//! A fake internet: machines on a network of the engine that the test made, which it connects gateways to. Their addresses
//! are out of the ranges for documentation, so nobody's. What they serve is in `tests/internet`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::docker::{both, docker, inspect, try_docker};
use crate::world::{World, program};

/// Ranges that are set apart for documentation, RFC 5737.
const RANGES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(203, 0, 113, 0), Ipv4Addr::new(198, 51, 100, 0), Ipv4Addr::new(192, 0, 2, 0)];
/// Networks that fit into a range.
const IN_A_RANGE: u32 = 16;
/// Every network has this, so that what a killed test left can be told.
const LABEL: &str = "dev.boxwood.test=internet";
/// Image of machines that need nothing but the program.
pub const PLAIN: &str = "debian:bookworm-slim";

/// The program that serves the internet and, under the name `attack`, tries to reach it. It is beside the program under
/// test, unless the environment says where.
#[must_use]
pub fn tool() -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let beside = || program().with_file_name(format!("boxwood-internet-linux-{machine}"));
    std::env::var_os("BOXWOOD_INTERNET").map_or_else(beside, PathBuf::from)
}

/// The fake internet; it ends with this.
#[derive(Debug)]
pub struct Internet {
    network: String,
    first: u32,
    next: AtomicU32,
    key: String,
    /// Certificate of the authority that its servers' certificates are from, PEM.
    pub certificate: String,
}

/// A machine of it; it ends with this.
#[derive(Debug)]
pub struct Machine {
    /// The container.
    pub container: String,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Default for Internet {
    fn default() -> Self {
        Self::new()
    }
}

impl Internet {
    /// An internet without machines.
    ///
    /// # Panics
    /// When no network is free, or the program that makes certificates is not there.
    #[must_use]
    pub fn new() -> Self {
        let made = Command::new(tool()).arg("authority").output();
        let made = made.unwrap_or_else(|cause| panic!("{}: {cause}; run 'make internet'", tool().display()));
        let authority: Value = serde_json::from_slice(&made.stdout).expect("it prints an authority");
        let text = |name: &str| authority[name].as_str().expect("it has both parts").to_owned();
        let (network, first) = make_network();
        Self { network, first, next: AtomicU32::new(2), key: text("key"), certificate: text("certificate") }
    }

    /// The address that the host has in it.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        (self.first + 1).into()
    }

    /// A machine made from `image` that serves as told: the configuration of `tests/internet`, without the authority.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn machine(&self, image: &str, mut config: Value) -> Machine {
        let address = Ipv4Addr::from(self.first + self.next.fetch_add(1, Ordering::Relaxed));
        config["authorityKey"] = json!(self.key);
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), config.to_string()).expect("written");
        let container = docker([
            "create",
            "--label",
            LABEL,
            "--network",
            &self.network,
            "--ip",
            &address.to_string(),
            "--user",
            "0:0",
            "--cap-add",
            "NET_RAW",
            "--init",
            "--entrypoint",
            "/internet",
            image,
            "serve",
            "/internet.json",
        ]);
        let machine = Machine { container, address };
        let copy = |from: &str, to: &str| docker(["cp", from, &format!("{}:{to}", machine.container)]);
        let _ = copy(&tool().to_string_lossy(), "/internet");
        let _ = copy(&file.path().to_string_lossy(), "/internet.json");
        let _ = docker(["start", &machine.container]);
        crate::until("a machine of the internet", || {
            let is_ready = machine.all_notes().iter().any(|note| note["kind"] == "ready");
            assert!(is_ready || machine.runs(), "it ended: {}", machine.said());
            is_ready.then_some(())
        });
        machine
    }

    /// Lets a sandbox's gateway reach it.
    ///
    /// # Panics
    /// When there is no such gateway.
    pub fn connect(&self, gateway: &str) {
        let _ = docker(["network", "connect", &self.network, gateway]);
    }

    /// Has a world, whose daemon was not started yet, trust its servers.
    ///
    /// # Panics
    /// When the certificate cannot be written.
    pub fn trusted_by(&self, world: &mut World) {
        let file = world.root().join("internet.pem");
        fs::write(&file, &self.certificate).expect("written");
        world.set("NODE_EXTRA_CA_CERTS", file);
    }
}

/// The ranges that the host is not in. It answers for its own addresses on every network of the engine.
fn free_ranges() -> Vec<Ipv4Addr> {
    let routes = fs::read_to_string("/proc/net/route").expect("a table of routes");
    // Interface and destination, which is in hexadecimal digits as it lies in memory.
    let destination = |line: &str| u32::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    let is_engines = |line: &&str| line.starts_with("br-");
    let hosts: Vec<[u8; 4]> =
        routes.lines().filter(|line| !is_engines(line)).filter_map(destination).map(u32::to_ne_bytes).collect();
    RANGES.into_iter().filter(|range| !hosts.iter().any(|host| host[..3] == range.octets()[..3])).collect()
}

/// Addresses of the mirrors that the host's own packages come from: where they are in one of these ranges, image builds that
/// go on beside this test reach them.
fn mirrors() -> Vec<u32> {
    let lists = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let lists = lists.chain([PathBuf::from("/etc/apt/sources.list")]).filter_map(|list| fs::read_to_string(list).ok());
    let names: BTreeSet<String> =
        lists.flat_map(|list| list.split_whitespace().filter_map(host_of).collect::<Vec<_>>()).collect();
    let addresses = names.iter().filter_map(|name| (name.as_str(), 80).to_socket_addrs().ok()).flatten();
    addresses
        .filter_map(|address| if let IpAddr::V4(address) = address.ip() { Some(address.into()) } else { None })
        .collect()
}

/// The host of a web address.
fn host_of(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    let host = rest.split(['/', ':']).next().filter(|_| scheme.starts_with("http"))?;
    Some(host.to_owned())
}

/// Makes a network at the first free place, beginning at one that other tests are unlikely to begin at.
fn make_network() -> (String, u32) {
    let (ranges, mirrors) = (free_ranges(), mirrors());
    let places = u32::try_from(ranges.len()).unwrap_or_default() * IN_A_RANGE;
    let begin = std::process::id();
    for step in 0..places {
        let place = begin.wrapping_add(step) % places;
        let range = ranges[(place / IN_A_RANGE) as usize];
        let first = u32::from(range) + place % IN_A_RANGE * 16;
        if mirrors.iter().any(|address| (first..first + 16).contains(address)) {
            continue;
        }
        let subnet = format!("{}/28", Ipv4Addr::from(first));
        let name = format!("boxwood-test-internet-{begin}-{step}");
        let masquerade = "com.docker.network.bridge.enable_ip_masquerade=false";
        let args = ["network", "create", "--label", LABEL, "--subnet", &subnet, "--opt", masquerade, &name];
        match try_docker(&args) {
            Ok(id) => return (id, first),
            Err(words) => assert!(words.contains("overlap"), "docker {args:?}: {words}"),
        }
    }
    panic!("every network for documentation is in use; 'make clean-test' removes those that tests left");
}

impl Drop for Internet {
    fn drop(&mut self) {
        let format = "{{range $id, $_ := .Containers}}{{$id}} {{end}}";
        let connected = try_docker(&["network", "inspect", "--format", format, &self.network]).unwrap_or_default();
        for container in connected.split_whitespace() {
            drop(try_docker(&["network", "disconnect", "--force", &self.network, container]));
        }
        drop(try_docker(&["network", "rm", &self.network]));
    }
}

impl Machine {
    /// All that the program on it said.
    fn said(&self) -> String {
        String::from_utf8_lossy(&both(&["logs", &self.container])).into_owned()
    }

    fn runs(&self) -> bool {
        inspect(&self.container).is_some_and(|detail| detail["State"]["Running"] == true)
    }

    fn all_notes(&self) -> Vec<Value> {
        let text = docker(["logs", &self.container]);
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What reached it so far, the oldest first.
    #[must_use]
    pub fn notes(&self) -> Vec<Value> {
        self.all_notes().into_iter().filter(|note| note["kind"] != "ready").collect()
    }

    /// The web requests that reached it so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.notes().into_iter().filter(|note| note["kind"] == "request").collect()
    }

    /// Runs a shell script on it.
    ///
    /// # Panics
    /// When that fails.
    pub fn sh(&self, script: &str) -> String {
        docker(["exec", &self.container, "sh", "-c", script])
    }

    /// Copies files to it.
    ///
    /// # Panics
    /// When that fails.
    pub fn copy(&self, from: &std::path::Path, to: &str) {
        let _ = docker(["cp", &from.to_string_lossy(), &format!("{}:{to}", self.container)]);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(try_docker(&["rm", "--force", "--volumes", &self.container]));
    }
}

/// The gateway of a world's only sandbox.
///
/// # Panics
/// When there is none, or more than one.
#[must_use]
pub fn gateway_of(world: &World) -> String {
    let gateways = gateways_of(world);
    assert_eq!(gateways.len(), 1, "{gateways:?}");
    gateways.into_iter().next().unwrap_or_default()
}

/// The gateways of a world's sandboxes.
#[must_use]
pub fn gateways_of(world: &World) -> Vec<String> {
    let of_world = world.all_containers();
    let is_gateway =
        |id: &String| inspect(id).is_some_and(|detail| detail["Config"]["Labels"]["dev.boxwood.role"] == "gateway");
    of_world.into_iter().filter(is_gateway).collect()
}

/// The addresses of a container, by the names of its networks.
#[must_use]
pub fn addresses(container: &str) -> Vec<(String, String)> {
    let detail = inspect(container).unwrap_or_default();
    let networks = detail["NetworkSettings"]["Networks"].as_object().cloned().unwrap_or_default();
    let address = |value: &Value| value["IPAddress"].as_str().unwrap_or_default().to_owned();
    networks.iter().map(|(name, value)| (name.clone(), address(value))).filter(|(_, to)| !to.is_empty()).collect()
}
