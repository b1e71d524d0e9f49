//! The engine as an object: made without asking the engine anything, and cheap to make.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::SystemInfo;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures::{Stream, StreamExt};

use super::errors::translate;
use super::transport::{Accepted, ApiVersion, Transport};
use crate::EngineStream;
use crate::endpoint::Endpoint;
use crate::error::EngineError;
use crate::spec::EngineInfo;

/// How long a request that only reads may take.
const QUICK: Duration = Duration::from_secs(30);
/// How long a request may take that makes the engine move data, kill a process or unpack an image.
const SLOW: Duration = Duration::from_secs(600);
/// bollard wants a limit for every request; ours depend on the request and are set around it.
const NO_LIMIT_SECONDS: u64 = 60 * 60 * 24 * 365;

/// An engine that speaks the Docker API. It holds no state but connections and the API version agreed on, and
/// reconnects by itself when the engine was away.
pub struct DockerEngine {
    pub(super) docker: Docker,
    pub(super) transport: Arc<Transport>,
    endpoint: String,
}

impl DockerEngine {
    /// The engine at an endpoint. Nothing is sent: the first request finds out whether it is there, and which API
    /// version both sides speak.
    ///
    /// # Errors
    /// None today; an endpoint that needs preparing (TLS, ssh) can fail here.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        Self::new(endpoint, None)
    }

    /// The engine at an endpoint, when the API version is known from before: saves the round trip that finds it out.
    ///
    /// # Errors
    /// [`EngineError::Endpoint`] when the version is not of the form `1.41`.
    pub fn at(endpoint: &Endpoint, api_version: &str) -> Result<Self, EngineError> {
        let version = ApiVersion::parse(api_version).ok_or_else(|| EngineError::Endpoint {
            endpoint: endpoint.to_string(),
            reason: format!("{api_version:?} is not an API version"),
        })?;
        Self::new(endpoint, Some(version))
    }

    fn new(endpoint: &Endpoint, version: Option<ApiVersion>) -> Result<Self, EngineError> {
        let name = endpoint.to_string();
        let transport = Transport::new(endpoint.address.clone(), name.clone(), version);
        let sender = Arc::clone(&transport);
        let docker = Docker::connect_with_custom_transport(
            move |request: BollardRequest| {
                let sender = Arc::clone(&sender);
                async move { sender.send(request).await }
            },
            Some(transport.origin()),
            NO_LIMIT_SECONDS,
            API_DEFAULT_VERSION,
        )
        .map_err(|error| translate(&name, error))?;
        Ok(Self { docker, transport, endpoint: name })
    }

    pub(super) fn address(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn agreed_version(&self) -> String {
        self.transport.version().map(|version| version.to_string()).unwrap_or_default()
    }

    pub(super) fn translate(&self, error: bollard::errors::Error) -> EngineError {
        translate(&self.endpoint, error)
    }

    /// Runs a request that the engine answers from what it knows.
    pub(super) async fn quick<T>(
        &self,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        self.within(QUICK, request).await
    }

    /// Runs a request that makes the engine work.
    pub(super) async fn slow<T>(
        &self,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        self.within(SLOW, request).await
    }

    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| self.translate(error)),
            Err(_) => Err(EngineError::Unavailable {
                endpoint: self.endpoint.clone(),
                reason: format!("no answer within {} seconds", limit.as_secs()),
            }),
        }
    }

    /// Opens a stream and returns once the engine has accepted it, so that a refusal is this method's error and
    /// nothing that happens afterwards is missed. bollard's streams by themselves send nothing until polled.
    pub(super) async fn open<T, S>(&self, make: impl FnOnce(&Docker) -> S) -> Result<EngineStream<T>, EngineError>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T, bollard::errors::Error>> + Send + 'static,
    {
        let accepted = Accepted::default();
        let notice = accepted.clone();
        let docker = self.docker.clone().with_request_modifier(move |mut request| {
            request.extensions_mut().insert(notice.clone());
            request
        });
        let endpoint = self.endpoint.clone();
        let mut stream: EngineStream<T> =
            Box::pin(make(&docker).map(move |item| item.map_err(|error| translate(&endpoint, error))));
        let first = tokio::select! {
            biased;
            first = stream.next() => first,
            () = accepted.0.notified() => return Ok(stream),
        };
        match first {
            Some(Err(error)) => Err(error),
            Some(item) => Ok(Box::pin(futures::stream::iter([item]).chain(stream))),
            None => Ok(stream),
        }
    }

    /// [`Self::open`] for streams whose beginning costs the engine nothing.
    pub(super) async fn open_quickly<T, S>(
        &self,
        make: impl FnOnce(&Docker) -> S,
    ) -> Result<EngineStream<T>, EngineError>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T, bollard::errors::Error>> + Send + 'static,
    {
        match tokio::time::timeout(QUICK, self.open(make)).await {
            Ok(opened) => opened,
            Err(_) => Err(EngineError::Unavailable {
                endpoint: self.endpoint.clone(),
                reason: format!("no answer within {} seconds", QUICK.as_secs()),
            }),
        }
    }
}

/// What the engine is. The version is agreed on anew each time, for the engine may have been replaced since.
pub(super) async fn info(engine: &DockerEngine) -> Result<EngineInfo, EngineError> {
    engine.quick(engine.transport.negotiate()).await?;
    let info = engine.quick(engine.docker.info()).await?;
    Ok(describe(info))
}

fn describe(info: SystemInfo) -> EngineInfo {
    let arch = info.architecture.unwrap_or_default();
    EngineInfo {
        version: info.server_version.unwrap_or_default(),
        os: info.os_type.unwrap_or_default(),
        // The engine answers in the kernel's terms here and in Go's for images.
        arch: match arch.as_str() {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            _ => arch,
        },
        cpus: info.ncpu.and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or_default(),
        memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        is_rootless: info.security_options.unwrap_or_default().iter().any(|option| option == "name=rootless"),
        root_directory: info.docker_root_dir.unwrap_or_default(),
        id: info.id.unwrap_or_default(),
    }
}
