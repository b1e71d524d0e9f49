//! The web servers.

use std::io;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use super::config::Site;
use super::ports::{Arrival, Shared};
use super::record::note;
use super::{endpoints, git};

/// Largest request that is kept whole, bytes.
const LARGEST: usize = 256 << 20;

pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// Serves one connection.
pub(crate) async fn serve<S>(stream: S, arrival: Arrival, shared: Shared) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (arrival, shared) = (arrival.clone(), shared.clone());
        async move { answer(request, &arrival, &shared).await }
    });
    let server = hyper::server::conn::http1::Builder::new();
    server.serve_connection(TokioIo::new(stream), service).with_upgrades().await.map_err(io::Error::other)
}

/// A whole body.
pub(crate) fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// An answer of plain JSON.
pub(crate) fn json_answer(value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// An answer without more to say.
pub(crate) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(whole(status.to_string()));
    *response.status_mut() = status;
    response
}

async fn answer(request: Request<Incoming>, arrival: &Arrival, shared: &Shared) -> io::Result<Response<Body>> {
    let headers = request.headers().get_all(header::HOST);
    let hosts: Vec<String> =
        headers.iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = host.or_else(|| hosts.first().cloned()).unwrap_or_default();
    note(
        "request",
        json!({
            "port": arrival.port, "peer": arrival.peer.to_string(), "sni": arrival.sni, "isTls": arrival.is_tls,
            "host": host, "method": request.method().as_str(), "uri": request.uri().to_string(),
        }),
    );
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name).to_owned();
    match shared.config.hosts.get(&name) {
        Some(Site::Files(root)) => Ok(file(root, request.uri().path())),
        Some(Site::Git(root)) => repository(root, request).await,
        Some(Site::GuardedGit { root, user, password }) => {
            let shown = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
            if shown == Some(basic(user, password).as_bytes()) {
                return repository(root, request).await;
            }
            let mut response = bare(StatusCode::UNAUTHORIZED);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"git\""));
            Ok(response)
        }
        Some(Site::Forward(_)) | None => endpoints::answer(request, &host, arrival).await,
    }
}

async fn repository(root: &Path, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map_err(io::Error::other)?.to_bytes();
    let (status, headers, body) = git::answer(root, &head, body).await?;
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(whole(body)).map_err(io::Error::other)
}

/// What shows name and password, RFC 7617.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

fn file(root: &Path, path: &str) -> Response<Body> {
    let wanted: PathBuf = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let mut wanted = root.join(wanted);
    if wanted.is_dir() {
        let names = ["index.json", "index.html"].map(|name| wanted.join(name));
        wanted = names.into_iter().find(|name| name.is_file()).unwrap_or_default();
    }
    let Ok(contents) = std::fs::read(&wanted) else { return bare(StatusCode::NOT_FOUND) };
    let kind = match wanted.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("json") | None => "application/json",
        Some(_) => "application/octet-stream",
    };
    let mut response = Response::new(whole(contents));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
