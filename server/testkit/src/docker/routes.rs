//! Which request is which.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::Value;

use super::http::{Outcome, Query, Refusal, refuse};
use super::world::Engine;
use super::{archive, attach, build, containers, create, exec, images, lifecycle, networks, streams, system, volumes};

pub(super) async fn route(engine: &Arc<Engine>, method: &str, path: &str, request: &mut Request<Incoming>) -> Outcome {
    let query = Query::parse(request.uri().query());
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET" | "HEAD", ["_ping"]) => Ok(system::ping(engine)),
        ("GET", ["version"]) => Ok(system::version(engine)),
        ("GET", ["info"]) => Ok(system::info(engine)),
        ("GET", ["events"]) => Ok(streams::events(engine, &query)),

        ("GET", ["containers", "json"]) => Ok(containers::list(engine, &query)),
        ("POST", ["containers", "create"]) => create::create(engine, &query, json(request).await?),
        ("GET", ["containers", id, "json"]) => containers::inspect(engine, id),
        ("POST", ["containers", id, "start"]) => lifecycle::start(engine, id),
        ("POST", ["containers", id, "stop"]) => lifecycle::stop(engine, id),
        ("POST", ["containers", id, "kill"]) => lifecycle::kill(engine, id, &query),
        ("POST", ["containers", id, "rename"]) => lifecycle::rename(engine, id, &query),
        ("POST", ["containers", id, "wait"]) => streams::wait(engine, id, &query),
        ("DELETE", ["containers", id]) => lifecycle::remove(engine, id, &query),
        ("GET", ["containers", id, "logs"]) => streams::logs(engine, id, &query),
        ("POST", ["containers", id, "attach"]) => {
            let upgrade = hyper::upgrade::on(&mut *request);
            let wants_upgrade = request.headers().contains_key(hyper::header::UPGRADE);
            attach::attach(engine, id, wants_upgrade.then_some(upgrade))
        }
        ("GET", ["containers", id, "stats"]) => streams::stats(engine, id, &query),
        ("HEAD", ["containers", id, "archive"]) => archive::stat(engine, id, &query),
        ("GET", ["containers", id, "archive"]) => archive::download(engine, id, &query),
        ("PUT", ["containers", id, "archive"]) => archive::upload(engine, id, &query, &bytes(request).await?),

        ("POST", ["containers", id, "exec"]) => exec::create(engine, id, json(request).await?),
        ("POST", ["exec", id, "start"]) => {
            let upgrade = hyper::upgrade::on(&mut *request);
            let wants_upgrade = request.headers().contains_key(hyper::header::UPGRADE);
            let body = json(request).await?;
            exec::start(engine, id, &body, wants_upgrade.then_some(upgrade))
        }
        ("POST", ["exec", id, "resize"]) => exec::resize(engine, id, &query),
        ("GET", ["exec", id, "json"]) => exec::inspect(engine, id),

        ("GET", ["images", "json"]) => Ok(images::list(engine, &query)),
        ("POST", ["images", "create"]) => images::create(engine, &query, &bytes(request).await?),
        ("GET", ["images", reference @ .., "json"]) => images::inspect(engine, &reference.join("/")),
        ("DELETE", ["images", reference @ ..]) => images::remove(engine, &reference.join("/"), &query),
        ("POST", ["build"]) => build::build(engine, &query, &bytes(request).await?),

        ("GET", ["volumes"]) => Ok(volumes::list(engine, &query)),
        ("POST", ["volumes", "create"]) => volumes::create(engine, &json(request).await?),
        ("GET", ["volumes", name]) => volumes::inspect(engine, name),
        ("DELETE", ["volumes", name]) => volumes::remove(engine, name),
        ("GET", ["networks"]) => Ok(networks::list(engine, &query)),
        ("POST", ["networks", "create"]) => networks::create(engine, &json(request).await?),
        ("GET", ["networks", name]) => networks::inspect(engine, name),
        ("POST", ["networks", name, "connect"]) => networks::connect(engine, name, &json(request).await?),
        ("POST", ["networks", name, "disconnect"]) => networks::disconnect(engine, name, &json(request).await?),
        ("DELETE", ["networks", name]) => networks::remove(engine, name),
        _ => refuse(404, "page not found"),
    }
}

async fn bytes(request: &mut Request<Incoming>) -> Outcome<Bytes> {
    let broken = |error: hyper::Error| Refusal { status: 400, message: error.to_string() };
    Ok(request.body_mut().collect().await.map_err(broken)?.to_bytes())
}

async fn json(request: &mut Request<Incoming>) -> Outcome<Value> {
    let bytes = bytes(request).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|error| Refusal { status: 400, message: error.to_string() })
}
