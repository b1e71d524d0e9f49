//! The table of requests: what each method of the contract does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use boxwood_protocol::contract as c;
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::params::{DaemonStatus, DaemonStopParams, Empty, HelloParams, HelloResult, SandboxCount};
use boxwood_protocol::sandbox::SandboxDetail;
use boxwood_protocol::{
    EVENT_METHOD, ErrorCode, Event, MAX_REQUEST_BYTES, Method, PROTOCOL_VERSION, RpcError, SUBSCRIBE_METHOD,
    UNSUBSCRIBE_METHOD,
};
use jsonrpsee::core::{RegisterMethodError, SubscriptionError};
use jsonrpsee::server::{
    PendingSubscriptionSink, RpcModule, ServerConfig, StopHandle, SubscriptionSink, serve_with_graceful_shutdown,
    stop_channel,
};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use tokio::sync::broadcast::error::RecvError;

use crate::counted::Counted;
use crate::daemon::Daemon;
use crate::egress::requests as egress;
use crate::error::{self, Result};
use crate::git::requests as git;
use crate::inside::Interest;
use crate::known::Known;
use crate::listen::Listener;
use crate::materials::image;
use crate::operations::Subject;
use crate::provisioning::{requests as credentials, status};
use crate::prune::Extent;
use crate::{doctor, inside, lifecycle, lifecycle::ensure, login, project, prune, settings, sys, templates};

/// Most clients at a time.
const CLIENTS: u32 = 256;
/// How long open conversations may go on after the daemon was asked to leave.
const PARTING: Duration = Duration::from_secs(2);

/// Answers requests until the daemon leaves.
pub(crate) async fn serve(daemon: &Arc<Daemon>, mut listener: Listener, build: String) -> Result<()> {
    let module = module(daemon, build).map_err(|cause| error::internal(cause.to_string()))?;
    let config = ServerConfig::builder()
        .max_connections(CLIENTS)
        .max_request_body_size(MAX_REQUEST_BYTES)
        .max_response_body_size(64 * 1024 * 1024)
        .ws_only()
        .build();
    let middleware = jsonrpsee::server::middleware::rpc::RpcServiceBuilder::new().layer_fn(Known);
    let builder =
        jsonrpsee::server::Server::builder().set_config(config).set_rpc_middleware(middleware).to_service_builder();
    let (stop, handle) = stop_channel();
    loop {
        let stream = tokio::select! {
            () = daemon.leave.cancelled() => break,
            stream = listener.accept() => stream.map_err(|cause| error::internal("the socket broke").caused_by(cause))?,
        };
        let service = builder.clone().build(module.clone(), stop.clone());
        tokio::spawn(converse(Counted::new(stream, daemon), service, stop.clone()));
    }
    drop((listener, stop));
    let _ = handle.stop();
    let _ = tokio::time::timeout(PARTING, handle.stopped()).await;
    Ok(())
}

async fn converse<S, I>(stream: Counted<I>, service: S, stop: StopHandle)
where
    S: tower::Service<
            http::Request<hyper::body::Incoming>,
            Response = jsonrpsee::server::HttpResponse,
            Error = jsonrpsee::core::BoxError,
        > + Clone
        + Send
        + 'static,
    S::Future: Send,
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    if let Err(cause) = serve_with_graceful_shutdown(stream, service, stop.shutdown()).await {
        tracing::debug!(%cause, "a conversation ended");
    }
}

/// An error as JSON-RPC has it.
pub(crate) fn object(problem: &RpcError) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(problem.code.number(), problem.message.clone(), Some(problem))
}

fn parse<M: Method>(params: &Params<'_>) -> Result<M::Params> {
    let text = params.as_str().unwrap_or("{}");
    // Some clients wrap the one object in an array.
    let parsed = serde_json::from_str::<M::Params>(text)
        .or_else(|cause| serde_json::from_str::<(M::Params,)>(text).map(|(params,)| params).map_err(|_| cause));
    parsed.map_err(|cause| {
        RpcError::new(ErrorCode::InvalidParams, format!("the parameters of {} are not valid", M::NAME)).caused_by(cause)
    })
}

type Module = RpcModule<Arc<Daemon>>;
type Registered = std::result::Result<(), RegisterMethodError>;

/// Registers a method that answers at once.
fn on<M: Method>(module: &mut Module, answer: fn(&Arc<Daemon>, M::Params) -> Result<M::Result>) -> Registered {
    module.register_method(M::NAME, move |params, daemon, _| {
        parse::<M>(&params).and_then(|params| answer(daemon, params)).map_err(|problem| object(&problem))
    })?;
    Ok(())
}

/// Registers a method that has something to wait for.
fn on_async<M, F>(module: &mut Module, answer: fn(Arc<Daemon>, M::Params) -> F) -> Registered
where
    M: Method,
    F: Future<Output = Result<M::Result>> + Send + 'static,
{
    module.register_async_method(M::NAME, move |params, daemon, _| async move {
        let params = parse::<M>(&params).map_err(|problem| object(&problem))?;
        answer(Arc::clone(&daemon), params).await.map_err(|problem| object(&problem))
    })?;
    Ok(())
}

fn module(daemon: &Arc<Daemon>, build: String) -> std::result::Result<Module, RegisterMethodError> {
    let mut module = RpcModule::from_arc(Arc::new(Arc::clone(daemon)));
    let m = &mut module;
    m.register_method(c::Hello::NAME, move |params, _, _| {
        parse::<c::Hello>(&params).and_then(|params| hello(&params, &build)).map_err(|problem| object(&problem))
    })?;
    on::<c::Status>(m, |daemon, _| Ok(status(daemon)))?;
    on::<c::StopDaemon>(m, |daemon, params| leave(daemon, &params))?;

    on::<c::Ensure>(m, ensure::ensure)?;
    on::<c::Refresh>(m, ensure::refresh)?;
    on_async::<c::Stop, _>(m, |daemon, target| async move {
        daemon.registry.ready().await;
        ensure::stop(&daemon, &target)
    })?;
    on_async::<c::Restart, _>(m, |daemon, target| async move {
        daemon.registry.ready().await;
        ensure::restart(&daemon, &target)
    })?;
    on_async::<c::Remove, _>(m, |daemon, params| async move {
        daemon.registry.ready().await;
        ensure::remove(&daemon, &params)
    })?;
    on_async::<c::List, _>(m, |daemon, filter| async move { list(&daemon, filter.project.as_deref()).await })?;
    on_async::<c::Count, _>(m, |daemon, filter| async move {
        let mut count = SandboxCount::default();
        for info in list(&daemon, filter.project.as_deref()).await? {
            count.total += 1;
            *count.by_state.entry(info.state).or_default() += 1;
        }
        Ok(count)
    })?;
    on_async::<c::Inspect, _>(m, |daemon, target| async move {
        daemon.registry.ready().await;
        inspect(&daemon, &target)
    })?;
    on_async::<c::Logs, _>(m, |daemon, params| async move {
        daemon.registry.ready().await;
        inside::logs(&daemon, &params)
    })?;
    on_async::<c::Exec, _>(m, |daemon, params| async move {
        daemon.registry.ready().await;
        inside::exec(&daemon, params)
    })?;
    on_async::<c::Stats, _>(m, |daemon, target| async move {
        daemon.registry.ready().await;
        inside::stats(&daemon, &target)
    })?;
    on_async::<c::Attach, _>(m, |daemon, params| async move { lifecycle::attach::target(&daemon, &params).await })?;
    on::<c::Prune>(m, |daemon, params| Ok(prune::start(daemon, Extent::Unused, &params)))?;
    on::<c::CleanupAll>(m, |daemon, params| Ok(prune::start(daemon, Extent::Everything, &params)))?;

    on::<c::Operations>(m, |daemon, _| Ok(daemon.operations.list()))?;
    on::<c::Cancel>(m, |daemon, params| daemon.operations.cancel(&params.operation_id))?;
    on_async::<c::Wait, _>(m, |daemon, params| async move { daemon.operations.wait(&params.operation_id).await })?;
    on::<c::Metrics>(m, |daemon, _| Ok(daemon.operations.metrics().report()))?;

    on::<c::GetConfig>(m, |daemon, params| {
        let project = project::canonical(&daemon.paths, params.project.as_deref().unwrap_or_default())?;
        settings::load(&daemon.paths, &project, &Default::default()).map(|settings| settings.report)
    })?;
    on_async::<c::ApproveConfig, _>(m, |daemon, params| async move {
        let project = project::canonical(&daemon.paths, &params.project)?;
        let report = settings::approve(&daemon.paths, &project, &params.content_hash)?;
        daemon.egress.reconsider(&daemon, &project).await?;
        Ok(report)
    })?;
    on_async::<c::CredentialsStatusOf, _>(m, status::status)?;
    on::<c::SetCredential>(m, |daemon, params| Ok(credentials::set(daemon, params)))?;
    on::<c::SignOut>(m, |daemon, params| Ok(credentials::sign_out(daemon, &params)))?;
    on::<c::SetCredentialMode>(m, credentials::set_mode)?;
    on::<c::ResolveCredentials>(m, |daemon, params| credentials::resolve(daemon, &params))?;
    on_async::<c::EgressPolicyOf, _>(m, egress::policy)?;
    on_async::<c::EgressTest, _>(m, egress::test)?;
    on_async::<c::EgressDecide, _>(m, egress::decide)?;
    on_async::<c::EgressForget, _>(m, egress::forget)?;
    on_async::<c::EgressBypass, _>(m, egress::bypass)?;
    on_async::<c::EgressAsks, _>(m, egress::asks)?;
    on_async::<c::EgressLog, _>(m, egress::log)?;
    on_async::<c::GitApprovals, _>(m, git::approvals)?;
    on_async::<c::GitDecide, _>(m, git::decide)?;
    on_async::<c::GitRevoke, _>(m, git::revoke)?;
    on_async::<c::StartLogin, _>(m, |daemon, params| async move {
        daemon.registry.ready().await;
        login::start(&daemon, params)
    })?;
    on::<c::LoginCode>(m, login::code)?;
    on::<c::AcceptLogin>(m, |daemon, params| login::accept(daemon, &params))?;
    on_async::<c::Images, _>(m, |daemon, _| async move { image::list(&daemon).await })?;
    on::<c::BuildImage>(m, |daemon, params| {
        let daemon_ = Arc::clone(daemon);
        Ok(daemon.operations.start("buildImage", Subject::default(), move |handle| async move {
            let (engine, _) = daemon_.link.engine().await?;
            let variant = params.variant.unwrap_or_default();
            let built = handle.or_cancelled(image::agent(&daemon_, &engine, &handle, variant, params.no_cache)).await?;
            image::list(&daemon_)
                .await?
                .into_iter()
                .find(|image| image.id == built.id)
                .ok_or_else(|| error::internal("the image is not there after it was built"))
        }))
    })?;
    on::<c::Templates>(m, |_, _| Ok(boxwood_core::template::list()))?;
    on::<c::InsertTemplate>(m, |daemon, params| templates::insert(daemon, &params))?;
    on::<c::Doctor>(m, |daemon, params| Ok(doctor::start(daemon, params)))?;
    m.register_subscription(
        SUBSCRIBE_METHOD,
        EVENT_METHOD,
        UNSUBSCRIBE_METHOD,
        |params, pending, daemon, _| async move { subscribe(params, pending, Arc::clone(&daemon)).await },
    )?;
    Ok(module)
}

fn hello(params: &HelloParams, build: &str) -> Result<HelloResult> {
    tracing::debug!(client = params.client, version = params.version, "hello");
    Ok(HelloResult {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        pid: std::process::id(),
        build: build.to_owned(),
    })
}

fn status(daemon: &Daemon) -> DaemonStatus {
    DaemonStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_seconds: daemon.began.elapsed().as_secs(),
        memory_bytes: sys::resident_memory(),
        clients: *daemon.clients.borrow(),
        running_sandboxes: u32::try_from(*daemon.registry.running().borrow()).unwrap_or(u32::MAX),
        operations: u32::try_from(daemon.operations.running()).unwrap_or(u32::MAX),
        engine: daemon.link.status(),
        log_directory: daemon.paths.log_dir().display().to_string(),
        state_directory: daemon.paths.state.display().to_string(),
        socket: daemon.paths.socket().display().to_string(),
    }
}

fn leave(daemon: &Arc<Daemon>, params: &DaemonStopParams) -> Result<Empty> {
    let running = daemon.operations.running();
    if running > 0 && !params.force {
        return Err(RpcError::new(ErrorCode::DaemonBusy, format!("{running} operation(s) are running")));
    }
    daemon.operations.cancel_all();
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        daemon.operations.all_ended().await;
        daemon.leave.cancel();
    });
    Ok(Empty {})
}

async fn list(daemon: &Daemon, project: Option<&str>) -> Result<Vec<boxwood_protocol::sandbox::SandboxInfo>> {
    daemon.registry.ready().await;
    if !daemon.link.status().is_available {
        daemon.link.engine().await?;
    }
    let project = project.map(project::lexical);
    let mut list = daemon.registry.list();
    list.retain(|info| project.as_ref().is_none_or(|project| info.project == *project));
    Ok(list)
}

fn inspect(daemon: &Daemon, target: &boxwood_protocol::params::SandboxRef) -> Result<SandboxDetail> {
    let known = daemon.resolve(target)?;
    Ok(daemon.registry.detail(&known, &daemon.paths))
}

async fn subscribe(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    daemon: Arc<Daemon>,
) -> std::result::Result<(), SubscriptionError> {
    let wanted = match params.as_str() {
        None => Ok(SubscribeParams::default()),
        Some(text) => serde_json::from_str(text).or_else(|cause| {
            serde_json::from_str::<(SubscribeParams,)>(text).map(|(wanted,)| wanted).map_err(|_| cause)
        }),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(cause) => {
            let problem = RpcError::new(ErrorCode::InvalidParams, "the parameters of the subscription are not valid");
            pending.reject(object(&problem.caused_by(cause))).await;
            return Ok(());
        }
    };
    // Listen before answering: a client that has the answer may start something that ends at once.
    let mut events = daemon.hub.listen();
    let interest = Interest::new(&daemon, wanted.stats.clone());
    let sink = pending.accept().await?;
    daemon.registry.ready().await;
    send(&sink, &snapshot(&daemon)).await?;
    loop {
        let event = tokio::select! {
            () = sink.closed() => break,
            event = events.recv() => event,
        };
        match event {
            Ok(Event::Stats { ref sandbox_id, .. }) if !wanted.stats.contains(sandbox_id) => {}
            Ok(event) => send(&sink, &event).await?,
            Err(RecvError::Lagged(_)) => send(&sink, &snapshot(&daemon)).await?,
            Err(RecvError::Closed) => break,
        }
    }
    drop(interest);
    Ok(())
}

fn snapshot(daemon: &Daemon) -> Event {
    Event::Snapshot {
        sandboxes: daemon.registry.list(),
        asks: daemon.egress.asks(),
        logins: daemon.logins.asks(),
        operations: daemon.operations.list_running(),
        engine: daemon.link.status(),
    }
}

async fn send(sink: &SubscriptionSink, event: &Event) -> std::result::Result<(), SubscriptionError> {
    let message = serde_json::value::to_raw_value(event)?;
    sink.send(message).await?;
    Ok(())
}
