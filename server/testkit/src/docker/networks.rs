//! Networks, and the addresses that containers have on them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::http::{Answer, Outcome, Query, Refusal, empty_answer, json_answer, refuse};
use super::world::{Container, Engine, World, check_name, has_labels};

/// Names of networks that every engine has.
const BUILT_IN: [&str; 3] = ["bridge", "host", "none"];

#[derive(Debug, Clone, Default)]
pub(super) struct Network {
    pub(super) id: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) internal: bool,
    pub(super) subnet: Subnet,
    /// Whether the subnet was asked for.
    is_chosen: bool,
    options: BTreeMap<String, String>,
}

/// A container's place on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The address it wants.
    pub(super) wanted: Option<Ipv4Addr>,
    /// The address it has; only while it runs.
    pub(super) address: Option<Ipv4Addr>,
    /// Id of the network when it last started: another one of the same name will not do.
    network: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Subnet {
    first: u32,
    prefix: u32,
}

impl Subnet {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix): (Ipv4Addr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
        (1..=30).contains(&prefix).then(|| Self { first: address.to_bits() & Self::mask(prefix), prefix })
    }

    const fn mask(prefix: u32) -> u32 {
        u32::MAX << (32 - prefix)
    }

    const fn overlaps(self, other: Self) -> bool {
        let mask = Self::mask(if self.prefix < other.prefix { self.prefix } else { other.prefix });
        self.first & mask == other.first & mask
    }

    fn holds(self, address: Ipv4Addr) -> bool {
        address.to_bits() & Self::mask(self.prefix) == self.first
    }

    /// Addresses that the engine gives: not the network's own, nor the first, which is the bridge's.
    fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.first | !Self::mask(self.prefix);
        (self.first + 2..last).map(Ipv4Addr::from_bits)
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

pub(super) fn create(engine: &Engine, request: &Value) -> Outcome {
    let name = request["Name"].as_str().unwrap_or_default().to_owned();
    engine.change(|world| {
        check_name("network", &name)?;
        if world.networks.contains_key(&name) || BUILT_IN.contains(&name.as_str()) {
            return refuse(409, format!("network with name {name} already exists"));
        }
        let asked = request["IPAM"]["Config"][0]["Subnet"].as_str();
        let is_free = |world: &World, subnet: Subnet| !world.networks.values().any(|n| n.subnet.overlaps(subnet));
        let subnet = match asked {
            Some(text) => {
                let Some(subnet) = Subnet::parse(text) else { return refuse(400, format!("invalid subnet {text}")) };
                if !is_free(world, subnet) {
                    return refuse(403, "Pool overlaps with other one on this address space");
                }
                subnet
            }
            None => {
                let pools =
                    (17..32).map(|second| Subnet { first: Ipv4Addr::new(172, second, 0, 0).to_bits(), prefix: 16 });
                let Some(subnet) = pools.into_iter().find(|subnet| is_free(world, *subnet)) else {
                    return refuse(404, "could not find an available, non-overlapping IPv4 address pool");
                };
                subnet
            }
        };
        let map = |name: &str| serde_json::from_value(request[name].clone()).unwrap_or_default();
        let network = Network {
            id: world.new_id(),
            labels: map("Labels"),
            internal: request["Internal"] == json!(true),
            subnet,
            is_chosen: asked.is_some(),
            options: map("Options"),
        };
        let id = network.id.clone();
        world.networks.insert(name.clone(), network);
        world.announce("network", "create", &id, &json!({ "name": name, "type": "bridge" }));
        Ok(json_answer(201, &json!({ "Id": id, "Warning": "" })))
    })
}

/// Name of a network that is named by its name or id.
fn find(world: &World, key: &str) -> Outcome<String> {
    let found = world.networks.iter().find(|(name, network)| *name == key || network.id == key);
    found.map(|(name, _)| name.clone()).ok_or_else(|| missing(key))
}

fn missing(key: &str) -> Refusal {
    Refusal { status: 404, message: format!("network {key} not found") }
}

pub(super) fn list(engine: &Engine, query: &Query) -> Answer {
    let wanted = query.filter("label");
    let found: Vec<Value> = engine.look(|world| {
        let fits = |network: &Network| has_labels(&wanted, |key| network.labels.get(key).map(String::as_str));
        let networks = world.networks.iter().filter(|(_, network)| fits(network));
        networks.map(|(name, network)| describe(name, network, &json!({}))).collect()
    });
    json_answer(200, &json!(found))
}

pub(super) fn inspect(engine: &Engine, key: &str) -> Outcome {
    engine.look(|world| {
        let name = find(world, key)?;
        let members = members(world, &name).map(|(container, address)| {
            let described =
                json!({ "Name": container.name, "IPv4Address": format!("{address}/16"), "IPv6Address": "" });
            (container.id.clone(), described)
        });
        let members: serde_json::Map<_, _> = members.collect();
        Ok(json_answer(200, &describe(&name, &world.networks[&name], &json!(members))))
    })
}

fn describe(name: &str, network: &Network, members: &Value) -> Value {
    json!({
        "Name": name, "Id": network.id, "Created": "2026-01-01T00:00:00Z", "Scope": "local", "Driver": "bridge",
        "EnableIPv6": false, "Internal": network.internal, "Attachable": false, "Ingress": false,
        "IPAM": { "Driver": "default", "Config": [{ "Subnet": network.subnet.to_string() }] },
        "Containers": members, "Options": network.options, "Labels": network.labels,
    })
}

/// Running containers on a network, with their addresses.
pub(super) fn members<'a>(world: &'a World, name: &'a str) -> impl Iterator<Item = (&'a Container, Ipv4Addr)> {
    world.containers.iter().filter_map(move |container| Some((container, container.places.get(name)?.address?)))
}

pub(super) fn connect(engine: &Engine, key: &str, request: &Value) -> Outcome {
    engine.change(|world| {
        let name = find(world, key)?;
        let id = request["Container"].as_str().unwrap_or_default();
        let index = world.find(id)?;
        let container = &world.containers[index];
        if container.is_running() && container.places.contains_key(&name) {
            let message = format!("endpoint with name {} already exists in network {name}", container.name);
            return refuse(403, message);
        }
        let wanted = wanted(&request["EndpointConfig"], Some((&name, &world.networks[&name])))?;
        let address = match container.is_running() {
            true => Some(take(world, &name, wanted)?),
            false => None,
        };
        world.containers[index].places.insert(name, Place { wanted, address, network: None });
        Ok(empty_answer(200))
    })
}

pub(super) fn disconnect(engine: &Engine, key: &str, request: &Value) -> Outcome {
    engine.change(|world| {
        let name = find(world, key)?;
        let index = world.find(request["Container"].as_str().unwrap_or_default())?;
        if world.containers[index].places.remove(&name).is_none() {
            let message = format!("container {} is not connected to network {name}", world.containers[index].id);
            return refuse(500, message);
        }
        Ok(empty_answer(200))
    })
}

/// The address that a request wants.
fn wanted(endpoint: &Value, network: Option<(&str, &Network)>) -> Outcome<Option<Ipv4Addr>> {
    let wanted = endpoint["IPAMConfig"]["IPv4Address"].as_str().and_then(|text| text.parse().ok());
    match network {
        Some((_, network)) if wanted.is_some() && !network.is_chosen => refuse(
            400,
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        ),
        _ => Ok(wanted),
    }
}

/// The places that a request to make a container asks for. Networks need not be there yet.
pub(super) fn asked(request: &Value) -> Outcome<BTreeMap<String, Place>> {
    let name = match request["HostConfig"]["NetworkMode"].as_str().unwrap_or_default() {
        "" | "default" => "bridge",
        name => name,
    };
    let wanted = wanted(&request["NetworkingConfig"]["EndpointsConfig"][name], None)?;
    Ok(BTreeMap::from([(name.to_owned(), Place { wanted, ..Place::default() })]))
}

/// Gives a container that starts its addresses.
pub(super) fn join(world: &mut World, index: usize) -> Outcome<()> {
    let places = world.containers[index].places.clone();
    let mut taken = BTreeMap::new();
    for (name, place) in &places {
        if !BUILT_IN.contains(&name.as_str()) {
            let known = place.network.as_ref();
            if known.is_some_and(|id| world.networks.get(name).is_none_or(|network| network.id != *id)) {
                return Err(missing(known.map_or(name, |id| id)));
            }
            taken.insert(name.clone(), take(world, name, place.wanted)?);
        }
    }
    for (name, address) in taken {
        let network = world.networks.get(&name).map(|network| network.id.clone());
        let place = world.containers[index].places.entry(name).or_default();
        (place.address, place.network) = (Some(address), network);
    }
    Ok(())
}

fn take(world: &World, name: &str, wanted: Option<Ipv4Addr>) -> Outcome<Ipv4Addr> {
    let network = world.networks.get(name).ok_or_else(|| missing(name))?;
    let is_taken = |address: Ipv4Addr| members(world, name).any(|(_, other)| other == address);
    match wanted {
        Some(address) if !network.subnet.holds(address) => {
            refuse(400, "no configured subnet contains IP address".to_owned() + &format!(" {address}"))
        }
        Some(address) if is_taken(address) => refuse(403, "Address already in use"),
        Some(address) => Ok(address),
        None => network
            .subnet
            .addresses()
            .find(|address| !is_taken(*address))
            .ok_or_else(|| Refusal { status: 403, message: "no available IPv4 addresses".to_owned() }),
    }
}

/// Networks in the description of a container.
pub(super) fn settings(container: &Container) -> Value {
    let networks = container.places.iter().map(|(name, place)| {
        let wanted = place.wanted.map(|address| json!({ "IPv4Address": address.to_string() }));
        let address = place.address.map(|address| address.to_string()).unwrap_or_default();
        (name.clone(), json!({ "IPAMConfig": wanted, "IPAddress": address, "NetworkID": "", "Gateway": "" }))
    });
    json!({ "Networks": networks.collect::<serde_json::Map<_, _>>() })
}

pub(super) fn remove(engine: &Engine, key: &str) -> Outcome {
    engine.change(|world| {
        let name = find(world, key)?;
        let id = world.networks[&name].id.clone();
        if members(world, &name).next().is_some() {
            let message = format!("error while removing network: network {name} id {id} has active endpoints");
            return refuse(403, message);
        }
        world.networks.remove(&name);
        world.announce("network", "destroy", &id, &json!({ "name": name, "type": "bridge" }));
        Ok(empty_answer(204))
    })
}

#[cfg(test)]
mod tests {
    use super::Subnet;

    #[test]
    fn subnets_overlap_when_one_holds_the_other() {
        let subnet = |text: &str| Subnet::parse(text).expect("a subnet");
        assert!(subnet("198.18.4.0/22").overlaps(subnet("198.18.0.0/15")));
        assert!(!subnet("198.18.4.0/22").overlaps(subnet("198.18.8.0/22")));
        assert_eq!(subnet("198.18.5.7/22").to_string(), "198.18.4.0/22");
        assert_eq!(Subnet::parse("198.18.4.0"), None);
    }
}
