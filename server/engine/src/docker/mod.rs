//! The adapter for engines that speak the Docker API.
//!
//! `connect` owns connections and the agreed API version, `errors` turns every failure into the product's terms, and
//! each other file translates one kind of object. The requests and answers themselves are bollard's.

mod archive;
mod connect;
mod containers;
mod create;
mod errors;
mod events;
mod exec;
mod frames;
mod images;
mod inspect;
mod names;
mod networks;
mod progress;
mod stats;
mod transport;
mod volumes;

use std::net::Ipv4Addr;

use async_trait::async_trait;

use crate::error::EngineError;
use crate::spec::{
    BuildSpec, ContainerDetail, ContainerSpec, ContainerSummary, EngineEvent, EngineInfo, ExecSpec, ImageDetail,
    NetworkDetail, NetworkSpec, Output, StatsReading, VolumeDetail,
};
use crate::{Attached, ByteStream, Engine, EngineStream, Running};

pub use connect::DockerEngine;

#[async_trait]
impl Engine for DockerEngine {
    fn endpoint(&self) -> &str {
        self.address()
    }

    fn api_version(&self) -> String {
        self.agreed_version()
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        connect::info(self).await
    }

    async fn list_containers(&self, labels: &[String]) -> Result<Vec<ContainerSummary>, EngineError> {
        containers::list(self, labels).await
    }

    async fn inspect_container(&self, id: &str) -> Result<ContainerDetail, EngineError> {
        containers::inspect(self, id).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        containers::create(self, spec).await
    }

    async fn start_container(&self, id: &str) -> Result<(), EngineError> {
        containers::start(self, id).await
    }

    async fn stop_container(&self, id: &str, grace_seconds: u32) -> Result<(), EngineError> {
        containers::stop(self, id, grace_seconds).await
    }

    async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        containers::remove(self, id).await
    }

    async fn rename_container(&self, id: &str, name: &str) -> Result<(), EngineError> {
        containers::rename(self, id, name).await
    }

    async fn wait_container(&self, id: &str) -> Result<i64, EngineError> {
        containers::wait(self, id).await
    }

    async fn attach(&self, id: &str) -> Result<Attached, EngineError> {
        exec::attach(self, id).await
    }

    async fn logs(&self, id: &str, tail: Option<u32>, follow: bool) -> Result<EngineStream<Output>, EngineError> {
        containers::logs(self, id, tail, follow).await
    }

    async fn stats(&self, id: &str) -> Result<EngineStream<StatsReading>, EngineError> {
        stats::stats(self, id).await
    }

    async fn exec(&self, id: &str, spec: &ExecSpec) -> Result<Running, EngineError> {
        exec::start(self, id, spec).await
    }

    async fn exec_exit_code(&self, exec_id: &str) -> Result<i64, EngineError> {
        exec::exit_code(self, exec_id).await
    }

    async fn resize_exec(&self, exec_id: &str, columns: u16, rows: u16) -> Result<(), EngineError> {
        exec::resize(self, exec_id, columns, rows).await
    }

    async fn upload(&self, id: &str, path: &str, tar: ByteStream) -> Result<(), EngineError> {
        archive::upload(self, id, path, tar).await
    }

    async fn path_exists(&self, id: &str, path: &str) -> Result<bool, EngineError> {
        archive::path_exists(self, id, path).await
    }

    async fn download(&self, id: &str, path: &str, limit: usize) -> Result<Vec<u8>, EngineError> {
        archive::download(self, id, path, limit).await
    }

    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageDetail>, EngineError> {
        images::inspect(self, reference).await
    }

    async fn list_images(&self, labels: &[String]) -> Result<Vec<ImageDetail>, EngineError> {
        images::list(self, labels).await
    }

    async fn pull_image(&self, reference: &str) -> Result<EngineStream<String>, EngineError> {
        images::pull(self, reference).await
    }

    async fn build_image(&self, spec: &BuildSpec) -> Result<EngineStream<String>, EngineError> {
        images::build(self, spec)
    }

    async fn import_image(
        &self,
        reference: &str,
        labels: &[(String, String)],
        tar: ByteStream,
    ) -> Result<(), EngineError> {
        images::import(self, reference, labels, tar).await
    }

    async fn users_of_image(&self, id: &str) -> Result<Vec<String>, EngineError> {
        containers::users(self, "ancestor", id, Some(id)).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        images::remove(self, reference).await
    }

    async fn create_volume(&self, name: &str, labels: &[(String, String)]) -> Result<(), EngineError> {
        volumes::create(self, name, labels).await
    }

    async fn list_volumes(&self, labels: &[String]) -> Result<Vec<VolumeDetail>, EngineError> {
        volumes::list(self, labels).await
    }

    async fn users_of_volume(&self, name: &str) -> Result<Vec<String>, EngineError> {
        containers::users(self, "volume", name, None).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        volumes::remove(self, name).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String, EngineError> {
        networks::create(self, spec).await
    }

    async fn inspect_network(&self, name: &str) -> Result<NetworkDetail, EngineError> {
        networks::inspect(self, name).await
    }

    async fn list_networks(&self, labels: &[String]) -> Result<Vec<NetworkDetail>, EngineError> {
        networks::list(self, labels).await
    }

    async fn connect_network(&self, network: &str, container: &str, ipv4: Option<Ipv4Addr>) -> Result<(), EngineError> {
        networks::connect(self, network, container, ipv4).await
    }

    async fn disconnect_network(&self, network: &str, container: &str) -> Result<(), EngineError> {
        networks::disconnect(self, network, container).await
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        networks::remove(self, name).await
    }

    async fn events(&self, labels: &[String]) -> Result<EngineStream<EngineEvent>, EngineError> {
        events::events(self, labels).await
    }
}
