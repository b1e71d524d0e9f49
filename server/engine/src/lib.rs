//! The seam to container engines.
//!
//! [`Engine`] is what the rest of the product may ask of an engine, in the product's own terms; [`docker`] is the
//! adapter for everything that speaks the Docker API. An adapter translates and reports: it holds no state, makes no
//! decision, and never filters by itself what belongs to whom.

pub mod docker;
pub mod endpoint;
pub mod error;
pub mod spec;

use std::net::Ipv4Addr;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use tokio::io::AsyncWrite;

pub use docker::DockerEngine;
pub use endpoint::{Address, Endpoint};
pub use error::EngineError;
pub use spec::{
    Attachment, BuildSpec, ContainerDetail, ContainerSpec, ContainerState, ContainerSummary, EngineEvent, EngineInfo,
    ExecSpec, HealthReport, HealthSpec, HealthState, ImageDetail, Mount, NetworkDetail, NetworkMode, NetworkSpec,
    Output, OutputStream, StatsReading, VolumeDetail,
};

/// A stream of an engine's messages; it ends with the connection or with an error as its last item.
pub type EngineStream<T> = Pin<Box<dyn Stream<Item = Result<T, EngineError>> + Send>>;

/// A stream of bytes sent to an engine.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// A started command: its output, its input, and the id that gives its exit status.
pub struct Running {
    /// Id of the command.
    pub exec_id: String,
    /// What it writes; with a terminal everything arrives as standard output.
    pub output: EngineStream<Output>,
    /// What it reads. Shutting it down is its end of file.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

/// The streams of a container's main process.
pub struct Attached {
    /// What it writes from now on; it ends with the container's run.
    pub output: EngineStream<Output>,
    /// What it reads. When this goes away the process's input stays open for whoever attaches next.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

/// A container engine. Every method is cancel-safe: dropping its future leaves at most a request the engine finishes.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Where the engine is asked, for example `unix:///var/run/docker.sock`.
    fn endpoint(&self) -> &str;
    /// API version agreed on, for example `1.41`.
    fn api_version(&self) -> String;
    /// What the engine is. The first request of a connection; also the cheapest sign of life.
    async fn info(&self) -> Result<EngineInfo, EngineError>;

    /// Containers, running or not, that carry all of `labels` (`key` or `key=value`).
    async fn list_containers(&self, labels: &[String]) -> Result<Vec<ContainerSummary>, EngineError>;
    /// One container by id or name.
    async fn inspect_container(&self, id: &str) -> Result<ContainerDetail, EngineError>;
    /// Makes a container and gives its id. A taken name is [`EngineError::Conflict`].
    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError>;
    /// Starts a container; one that runs already is fine.
    async fn start_container(&self, id: &str) -> Result<(), EngineError>;
    /// Stops a container, killing it after `grace_seconds`; one that is stopped already is fine.
    async fn stop_container(&self, id: &str, grace_seconds: u32) -> Result<(), EngineError>;
    /// Removes a container with its anonymous volumes, killing it first; one that is gone already is fine.
    async fn remove_container(&self, id: &str) -> Result<(), EngineError>;
    /// Gives a container another name. A taken name is [`EngineError::Conflict`].
    async fn rename_container(&self, id: &str, name: &str) -> Result<(), EngineError>;
    /// Waits until a container's main process ends and gives its exit status.
    async fn wait_container(&self, id: &str) -> Result<i64, EngineError>;
    /// Attaches to the main process of a container, which need not run yet; nothing that was written before is told.
    async fn attach(&self, id: &str) -> Result<Attached, EngineError>;
    /// Output of the main process: the last `tail` lines (all when `None`), then what comes when `follow`.
    async fn logs(&self, id: &str, tail: Option<u32>, follow: bool) -> Result<EngineStream<Output>, EngineError>;
    /// Readings about once a second, the first after about two, until the container ends.
    async fn stats(&self, id: &str) -> Result<EngineStream<StatsReading>, EngineError>;
    /// Starts a command in a container. One that does not run is [`EngineError::Conflict`]; a program that is not there
    /// is exit status 126 or 127, with the engine's words as output.
    async fn exec(&self, id: &str, spec: &ExecSpec) -> Result<Running, EngineError>;
    /// Exit status of a command whose output has ended.
    async fn exec_exit_code(&self, exec_id: &str) -> Result<i64, EngineError>;
    /// Tells a command's terminal its size in characters.
    async fn resize_exec(&self, exec_id: &str, columns: u16, rows: u16) -> Result<(), EngineError>;
    /// Unpacks a tar stream under `path` of a container, which need not run.
    async fn upload(&self, id: &str, path: &str, tar: ByteStream) -> Result<(), EngineError>;
    /// Whether `path` exists in a container, which need not run.
    async fn path_exists(&self, id: &str, path: &str) -> Result<bool, EngineError>;
    /// The file or directory `path` of a container as a tar archive, at most `limit` bytes of it.
    async fn download(&self, id: &str, path: &str, limit: usize) -> Result<Vec<u8>, EngineError>;

    /// An image by reference or id; `None` when it is not there.
    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageDetail>, EngineError>;
    /// Images that carry all of `labels`; without architecture and environment, which lists do not say.
    async fn list_images(&self, labels: &[String]) -> Result<Vec<ImageDetail>, EngineError>;
    /// Fetches an image; the stream gives lines for a person to read and ends when it is there.
    async fn pull_image(&self, reference: &str) -> Result<EngineStream<String>, EngineError>;
    /// Builds an image; the stream gives the lines of the build and ends when it is there.
    async fn build_image(&self, spec: &BuildSpec) -> Result<EngineStream<String>, EngineError>;
    /// Makes an image of one layer, with these labels, from a tar stream of a root filesystem.
    async fn import_image(
        &self,
        reference: &str,
        labels: &[(String, String)],
        tar: ByteStream,
    ) -> Result<(), EngineError>;
    /// Names of the containers, whoever made them, that were made from the image of this id.
    async fn users_of_image(&self, id: &str) -> Result<Vec<String>, EngineError>;
    /// Removes an image; one that is gone already is fine, one in use is [`EngineError::Conflict`].
    async fn remove_image(&self, reference: &str) -> Result<(), EngineError>;

    /// Makes a named volume; one of that name that exists is left as it is.
    async fn create_volume(&self, name: &str, labels: &[(String, String)]) -> Result<(), EngineError>;
    /// Volumes that carry all of `labels`.
    async fn list_volumes(&self, labels: &[String]) -> Result<Vec<VolumeDetail>, EngineError>;
    /// Names of the containers, whoever made them, that mount a volume.
    async fn users_of_volume(&self, name: &str) -> Result<Vec<String>, EngineError>;
    /// Removes a volume; one that is gone already is fine, one in use is [`EngineError::Conflict`].
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;

    /// Makes a network and gives its id. A taken name is [`EngineError::Conflict`], taken addresses are
    /// [`EngineError::Overlap`].
    async fn create_network(&self, spec: &NetworkSpec) -> Result<String, EngineError>;
    /// One network by id or name.
    async fn inspect_network(&self, name: &str) -> Result<NetworkDetail, EngineError>;
    /// Networks that carry all of `labels`.
    async fn list_networks(&self, labels: &[String]) -> Result<Vec<NetworkDetail>, EngineError>;
    /// Puts a container, which need not run, on a further network. One that is on it already is fine.
    async fn connect_network(&self, network: &str, container: &str, ipv4: Option<Ipv4Addr>) -> Result<(), EngineError>;
    /// Takes a container, running or not, off a network. One that is not on it is fine.
    async fn disconnect_network(&self, network: &str, container: &str) -> Result<(), EngineError>;
    /// Removes a network; one that is gone already is fine, one with running containers is [`EngineError::Conflict`].
    async fn remove_network(&self, name: &str) -> Result<(), EngineError>;

    /// Changes of containers that carry all of `labels`, from now until dropped.
    async fn events(&self, labels: &[String]) -> Result<EngineStream<EngineEvent>, EngineError>;
}
