//! Networks.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::body_full;
use bollard::models::{
    EndpointResource, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::connect::DockerEngine;
use super::volumes::label_filter;
use super::{create, errors, names};
use crate::error::EngineError;
use crate::spec::{NetworkDetail, NetworkSpec};

/// The driver of every network we make.
const DRIVER: &str = "bridge";

pub(super) async fn create(engine: &DockerEngine, spec: &NetworkSpec) -> Result<String, EngineError> {
    let answer = engine.slow(post(engine, request(spec))).await?;
    answer["Id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| EngineError::Broken("the engine made a network and did not say which".to_owned()))
}

fn request(spec: &NetworkSpec) -> Value {
    let owned = |map: &std::collections::BTreeMap<String, String>| -> HashMap<String, String> {
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let config = IpamConfig { subnet: spec.subnet.clone(), ..IpamConfig::default() };
    let request = NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some(DRIVER.to_owned()),
        internal: Some(spec.internal),
        enable_ipv6: Some(false),
        ipam: spec.subnet.is_some().then(|| Ipam { config: Some(vec![config]), ..Ipam::default() }),
        options: Some(owned(&spec.options)),
        labels: Some(owned(&spec.labels)),
        ..NetworkCreateRequest::default()
    };
    let mut request = json!(request);
    // Engines before API 1.44 give a name twice unless they are asked not to; bollard no longer knows of it.
    request["CheckDuplicate"] = json!(true);
    request
}

async fn post(engine: &DockerEngine, request: Value) -> Result<Value, bollard::errors::Error> {
    let request = Request::post("/networks/create")
        .header(CONTENT_TYPE, "application/json")
        .body(body_full(Bytes::from(request.to_string())))?;
    let response = engine.transport.send(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(answer);
    }
    let message = answer["message"].as_str().map_or_else(|| String::from_utf8_lossy(&body).into_owned(), str::to_owned);
    Err(super::transport::carry(errors::answer(status.as_u16(), &message)))
}

pub(super) async fn inspect(engine: &DockerEngine, name: &str) -> Result<NetworkDetail, EngineError> {
    let name = names::object("network", name)?;
    let found = engine.quick(engine.docker.inspect_network(name, None::<InspectNetworkOptions>)).await?;
    Ok(NetworkDetail {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default(),
        labels: found.labels.unwrap_or_default(),
        internal: found.internal.unwrap_or_default(),
        subnet: subnet(found.ipam),
        options: found.options.unwrap_or_default(),
        members: found.containers.unwrap_or_default().into_iter().map(member).collect(),
    })
}

fn member((id, found): (String, EndpointResource)) -> (String, Option<Ipv4Addr>) {
    let address = found.ipv4_address.unwrap_or_default();
    (id, address.split('/').next().and_then(|address| address.parse().ok()))
}

fn subnet(ipam: Option<Ipam>) -> Option<String> {
    ipam.and_then(|ipam| ipam.config).unwrap_or_default().into_iter().find_map(|config| config.subnet)
}

pub(super) async fn list(engine: &DockerEngine, labels: &[String]) -> Result<Vec<NetworkDetail>, EngineError> {
    let options = ListNetworksOptionsBuilder::default().filters(&label_filter(labels)).build();
    let found = engine.quick(engine.docker.list_networks(Some(options))).await?;
    let networks = found.into_iter().map(|network| NetworkDetail {
        id: network.id.unwrap_or_default(),
        name: network.name.unwrap_or_default(),
        labels: network.labels.unwrap_or_default(),
        internal: network.internal.unwrap_or_default(),
        subnet: subnet(network.ipam),
        options: network.options.unwrap_or_default(),
        ..NetworkDetail::default()
    });
    Ok(networks.collect())
}

pub(super) async fn connect(
    engine: &DockerEngine,
    network: &str,
    container: &str,
    ipv4: Option<Ipv4Addr>,
) -> Result<(), EngineError> {
    let (network, container) = (names::object("network", network)?, names::object("container", container)?);
    let request =
        NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(create::endpoint(ipv4)) };
    match engine.slow(engine.docker.connect_network(network, request)).await {
        // A running container is told so; one that does not run may ask again.
        Err(EngineError::Failed { message, .. }) if message.contains("already exists in network") => Ok(()),
        done => done,
    }
}

pub(super) async fn disconnect(engine: &DockerEngine, network: &str, container: &str) -> Result<(), EngineError> {
    let (network, container) = (names::object("network", network)?, names::object("container", container)?);
    let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
    match engine.slow(engine.docker.disconnect_network(network, request)).await {
        Err(EngineError::Failed { message, .. }) if message.contains("is not connected to") => Ok(()),
        done => done,
    }
}

pub(super) async fn remove(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let name = names::object("network", name)?;
    match engine.slow(engine.docker.remove_network(name)).await {
        Err(error) if error.is_not_found() => Ok(()),
        done => done,
    }
}
