//! The network of a sandbox with a gateway: an internal network of its own, on which there are the sandbox and the
//! gateway, and for the gateway alone a second one that leads outside.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use boxwood_core::{content_hash, labels};
use boxwood_engine::{
    ContainerDetail, ContainerSpec, ContainerState, Engine, EngineError, EngineInfo, NetworkDetail, NetworkMode,
    NetworkSpec,
};
use boxwood_protocol::config::Network;
use boxwood_protocol::{ErrorCode, RpcError};
use serde::{Deserialize, Serialize};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::place::{self, Place};
use crate::{creation, egress, materials};

/// Role of a gateway's container.
pub(crate) const ROLE: &str = "gateway";
/// Role of the network that sandbox and gateway share.
pub(crate) const INNER_ROLE: &str = "network";
/// Role of the network that leads outside.
pub(crate) const OUTER_ROLE: &str = "egress-network";
/// Takes the host's own address off the network: without it every service of the host that listens everywhere could be
/// reached from inside. Engines know it by one of these names and leave the other alone.
const NO_HOST: [(&str, &str); 2] =
    [("com.docker.network.bridge.inhibit_ipv4", "true"), ("com.docker.network.bridge.gateway_mode_ipv4", "isolated")];
/// Keeps gateways apart from each other.
const APART: (&str, &str) = ("com.docker.network.bridge.enable_icc", "false");
/// What the gateway needs to make its own route and to become nobody. It gives all of it up right after that.
const CAPABILITIES: [&str; 4] = ["NET_ADMIN", "SETGID", "SETPCAP", "SETUID"];
const SYSCTLS: [(&str, &str); 4] = [
    // It refuses to run where packets could pass by it from one network to the other.
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
];
const MEMORY_BYTES: u64 = 128 << 20;
const PIDS: u32 = 64;
const NOFILE: u32 = 8192;

/// What there was of a gateway before an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Before {
    pub(crate) has_network: bool,
    pub(crate) has_gateway: bool,
    pub(crate) was_running: bool,
    /// Whether the sandbox was without one.
    pub(crate) is_new: bool,
}

/// The network that a sandbox's container was made with.
pub(crate) fn network_of(labels: &HashMap<String, String>) -> Network {
    match labels.get(labels::NETWORK).map(String::as_str) {
        Some("gateway") => Network::Gateway,
        Some("none") => Network::None,
        _ => Network::Open,
    }
}

/// Whether a sandbox's container was made for a gateway.
pub(crate) fn is_used(labels: &HashMap<String, String>) -> bool {
    network_of(labels) == Network::Gateway
}

/// The place that a sandbox's container was made for.
pub(crate) fn place_of(labels: &HashMap<String, String>) -> Option<Place> {
    labels.get(labels::SUBNET).and_then(|subnet| Place::parse(subnet))
}

/// Name of a sandbox's own network.
pub(crate) fn network_name(sandbox: &str) -> String {
    format!("boxwood-{sandbox}")
}

/// Name of a sandbox's gateway.
pub(crate) fn gateway_name(sandbox: &str) -> String {
    format!("boxwood-gateway-{sandbox}")
}

/// Name of the network by which gateways reach the outside.
pub(crate) fn outer_name(installation: &str) -> String {
    format!("boxwood-egress-{installation}")
}

/// One sandbox's gateway and networks, whether they are there or not.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) daemon: &'a Arc<Daemon>,
    pub(crate) engine: &'a Arc<dyn Engine>,
    pub(crate) info: &'a EngineInfo,
    pub(crate) sandbox: &'a str,
}

fn failed(what: &'static str) -> impl Fn(EngineError) -> RpcError {
    move |cause| error::engine(what, &cause)
}

/// What is there under a name of ours and is not ours.
fn foreign(kind: &str, name: &str) -> RpcError {
    RpcError::new(
        ErrorCode::NameConflict,
        format!("a {kind} named {name} is there already, and Boxwood did not make it"),
    )
    .hint(format!(
        "remove it ('docker {} rm {name}'), then try again",
        if kind == "network" { kind } else { "container" }
    ))
}

/// What to do where no addresses are left, also where the engine knows nothing of who has them.
fn told(hint: &str, is_routed: bool) -> String {
    let routed = if is_routed { "; routes of this host ('ip route') have addresses there too" } else { "" };
    format!("{hint}{routed}")
}

impl Site<'_> {
    /// What is there.
    pub(crate) async fn survey(&self, is_new: bool) -> Result<Before> {
        let (network, gateway) = tokio::try_join!(self.network(), self.gateway())?;
        Ok(Before {
            has_network: network.is_some(),
            was_running: gateway.as_ref().is_some_and(|gateway| gateway.state == ContainerState::Running),
            has_gateway: gateway.is_some(),
            is_new,
        })
    }

    /// The sandbox's network, when it is there.
    async fn network(&self) -> Result<Option<NetworkDetail>> {
        let name = network_name(self.sandbox);
        match self.engine.inspect_network(&name).await {
            Ok(found) if self.is_ours(&found.labels) && found.internal => Ok(Some(found)),
            Ok(_) => Err(foreign("network", &name)),
            Err(cause) if cause.is_not_found() => Ok(None),
            Err(cause) => Err(error::engine("look at the sandbox's network", &cause)),
        }
    }

    /// The gateway's container, when it is there.
    pub(crate) async fn gateway(&self) -> Result<Option<ContainerDetail>> {
        let name = gateway_name(self.sandbox);
        match self.engine.inspect_container(&name).await {
            Ok(found) if self.is_ours(&found.labels) => Ok(Some(found)),
            Ok(_) => Err(foreign("container", &name)),
            Err(cause) if cause.is_not_found() => Ok(None),
            Err(cause) => Err(error::engine("look at the gateway", &cause)),
        }
    }

    fn is_ours(&self, labels: &HashMap<String, String>) -> bool {
        labels.get(labels::INSTALLATION) == Some(&self.daemon.installation)
            && labels.get(labels::SANDBOX).is_none_or(|sandbox| sandbox == self.sandbox)
    }

    /// Has both networks and the gateway's container as they should be, made for the operation `trace`. A gateway that
    /// is not as it should be is made anew: it holds nothing that is not given to it again.
    pub(crate) async fn make(&self, trace: &str, wanted: Option<Place>) -> Result<Place> {
        let (inner, outer, image) = tokio::try_join!(
            self.make_inner(trace, wanted),
            self.make_outer(),
            materials::gateway::image(self.daemon, self.engine, self.info),
        )?;
        let (inner_id, place) = inner;
        let subnet = place.subnet();
        let content = content_hash([image.as_bytes(), inner_id.as_bytes(), outer.as_bytes(), subnet.as_bytes()]);
        let what = "make the gateway";
        if let Some(found) = self.gateway().await? {
            if found.labels.get(labels::CONTENT) == Some(&content) {
                return self.connect(&found.id, place).await.map(|()| place);
            }
            self.engine.remove_container(&found.id).await.map_err(failed("remove the old gateway"))?;
        }
        let spec = self.gateway_spec(image, place, content);
        let id = creation::create(self.daemon, self.engine, spec, trace).await.map_err(failed(what))?;
        self.connect(&id, place).await?;
        Ok(place)
    }

    /// Puts the gateway on the sandbox's network.
    async fn connect(&self, gateway: &str, place: Place) -> Result<()> {
        let network = network_name(self.sandbox);
        let connected = self.engine.connect_network(&network, gateway, Some(place.gateway())).await;
        connected.map_err(failed("connect the gateway"))
    }

    async fn make_inner(&self, trace: &str, wanted: Option<Place>) -> Result<(String, Place)> {
        if let Some(found) = self.network().await? {
            return self.known(found, wanted);
        }
        let (places, is_routed) = match wanted {
            // It has been this network's before, so nothing is chosen.
            Some(place) => (vec![place], false),
            None => self.daemon.routes.taken().sift(place::candidates(self.sandbox), Place::block),
        };
        for place in places {
            let spec = NetworkSpec {
                name: network_name(self.sandbox),
                labels: self.labels(INNER_ROLE, Some(trace)),
                internal: true,
                subnet: Some(place.subnet()),
                options: NO_HOST.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            };
            match creation::network(self.daemon, self.engine, spec, trace).await {
                Ok(id) => return Ok((id, place)),
                Err(EngineError::Overlap(_)) => {}
                Err(cause) => return Err(error::engine("make the sandbox's network", &cause)),
            }
        }
        let hint = match wanted {
            Some(_) => "another network has the addresses it was made with; 'boxwood refresh' gives it new ones",
            None => {
                "remove sandboxes that are no longer needed, or networks within 198.18.0.0/15 ('docker network ls')"
            }
        };
        Err(RpcError::new(ErrorCode::EgressGateway, "there are no addresses left for the sandbox's network")
            .hint(told(hint, is_routed)))
    }

    fn known(&self, found: NetworkDetail, wanted: Option<Place>) -> Result<(String, Place)> {
        let is_closed = NO_HOST.iter().all(|(name, value)| found.options.get(*name).is_some_and(|is| is == value));
        match found.subnet.as_deref().and_then(Place::parse) {
            Some(place) if is_closed && wanted.is_none_or(|wanted| wanted == place) => Ok((found.id, place)),
            _ => Err(RpcError::new(
                ErrorCode::EgressGateway,
                format!("the network {} is another one than the sandbox was made for", found.name),
            )
            .hint(format!("remove it ('docker network rm {}') and run 'boxwood refresh'", found.name))),
        }
    }

    /// The network that leads outside. All gateways have it in common, so it stays until nothing is left.
    async fn make_outer(&self) -> Result<String> {
        let name = outer_name(&self.daemon.installation);
        let turn = self.daemon.turn(&name);
        let _turn = turn.lock().await;
        let what = "make the gateways' network";
        match self.engine.inspect_network(&name).await {
            Ok(found) if self.is_ours(&found.labels) => return Ok(found.id),
            Ok(_) => return Err(foreign("network", &name)),
            Err(cause) if cause.is_not_found() => {}
            Err(cause) => return Err(error::engine(what, &cause)),
        }
        let (key, value) = APART;
        let candidates = place::outer_candidates(&self.daemon.installation);
        let (blocks, is_routed) = self.daemon.routes.taken().sift(candidates, |block| block);
        for block in blocks {
            let spec = NetworkSpec {
                labels: self.labels(OUTER_ROLE, None),
                options: [(key.to_owned(), value.to_owned())].into(),
                name: name.clone(),
                subnet: Some(block.to_string()),
                ..NetworkSpec::default()
            };
            match self.engine.create_network(&spec).await {
                Err(EngineError::Overlap(_)) => {}
                // A request that was abandoned has made it after all.
                Err(EngineError::Conflict(_)) => {
                    return self.engine.inspect_network(&name).await.map(|found| found.id).map_err(failed(what));
                }
                made => return made.map_err(failed(what)),
            }
        }
        Err(RpcError::new(ErrorCode::EgressGateway, "there are no addresses left for the gateways' network").hint(
            told("remove networks within 198.19.192.0/18 that are no longer needed ('docker network ls')", is_routed),
        ))
    }

    fn labels(&self, role: &str, trace: Option<&str>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from(
            [
                (labels::OWNER, self.daemon.user.uid.to_string()),
                (labels::INSTALLATION, self.daemon.installation.clone()),
                (labels::ROLE, role.to_owned()),
                (labels::VERSION, env!("CARGO_PKG_VERSION").to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        if let Some(trace) = trace {
            labels.insert(labels::SANDBOX.to_owned(), self.sandbox.to_owned());
            // For whoever looks at the engine: the product itself goes by the sandbox.
            let record = self.daemon.records.get(self.sandbox);
            labels.extend(record.map(|record| (labels::PROJECT.to_owned(), record.project)));
            labels.insert(labels::TRACE.to_owned(), trace.to_owned());
        }
        labels
    }

    fn gateway_spec(&self, image: String, place: Place, content: String) -> ContainerSpec {
        let mut labels = self.labels(ROLE, Some(""));
        labels.insert(labels::SUBNET.to_owned(), place.subnet());
        labels.insert(labels::CONTENT.to_owned(), content);
        let (subnet, address) = (place.subnet(), place.gateway().to_string());
        let command = [materials::gateway::PROGRAM, "run", "--subnet", &subnet, "--address", &address];
        ContainerSpec {
            name: gateway_name(self.sandbox),
            image,
            command: command.map(str::to_owned).to_vec(),
            labels,
            user: "0:0".to_owned(),
            workdir: "/".to_owned(),
            hostname: "gateway".to_owned(),
            memory_bytes: MEMORY_BYTES,
            pids: PIDS,
            nofile: NOFILE,
            network: NetworkMode::Named { name: outer_name(&self.daemon.installation), ipv4: None },
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            sysctls: SYSCTLS.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            read_only_root: true,
            open_stdin: true,
            without_init: true,
            without_log: true,
            ..ContainerSpec::default()
        }
    }

    /// Starts the gateway, which lets nothing through before it has its policy, and gives it that.
    pub(crate) async fn start(&self) -> Result<()> {
        let name = gateway_name(self.sandbox);
        self.engine.start_container(&name).await.map_err(failed("start the gateway"))?;
        let Err(problem) = self.daemon.egress.connect(self.daemon, self.sandbox, &name).await else { return Ok(()) };
        match self.gateway().await {
            Ok(Some(found)) if found.state != ContainerState::Running => {
                let code = found.exit_code.unwrap_or_default();
                Err(problem.caused_by(format!("the gateway ended with status {code} as soon as it started")))
            }
            _ => Err(problem),
        }
    }

    /// Stops the gateway. It has nothing to finish.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.daemon.egress.disconnect(self.sandbox);
        match self.gateway().await? {
            Some(found) => match self.engine.stop_container(&found.id, 0).await {
                Err(cause) if !cause.is_not_found() => Err(error::engine("stop the gateway", &cause)),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Has the gateway run as it ran before.
    pub(crate) async fn restore(&self, trace: &str) -> Result<()> {
        if self.gateway().await?.is_none() {
            self.make(trace, None).await?;
        }
        self.start().await
    }

    /// Removes the gateway's container.
    pub(crate) async fn remove_gateway(&self) -> Result<()> {
        self.daemon.egress.disconnect(self.sandbox);
        match self.gateway().await? {
            Some(found) => self.engine.remove_container(&found.id).await.map_err(failed("remove the gateway")),
            None => Ok(()),
        }
    }

    /// Removes the sandbox's network.
    pub(crate) async fn remove_network(&self) -> Result<()> {
        match self.network().await? {
            Some(found) => self.engine.remove_network(&found.id).await.map_err(failed("remove the sandbox's network")),
            None => Ok(()),
        }
    }

    /// Removes both.
    pub(crate) async fn remove(&self) -> Result<()> {
        self.remove_gateway().await?;
        self.remove_network().await
    }

    /// Looks from inside the sandbox whether its network is what it must be.
    pub(crate) async fn verify(&self, container: &str, place: Place) -> Result<()> {
        let place = egress::Place { subnet: place.subnet(), gateway: place.gateway() };
        self.daemon.egress.verify(self.daemon, self.sandbox, container, &place).await
    }
}
