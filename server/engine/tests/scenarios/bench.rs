//! A place to work in: an engine, and names and labels of its own that go when it does.

use std::collections::BTreeMap;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boxwood_engine::{
    ByteStream, ContainerSpec, DockerEngine, Endpoint, Engine, EngineError, EngineStream, ExecSpec, NetworkMode,
    Output, OutputStream,
};
use boxwood_testkit::docker::FakeDocker;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

/// Image that every bench can rely on.
pub(crate) const IMAGE: &str = "debian:bookworm-slim";
const LABEL: &str = "dev.boxwood.test";

pub(crate) struct Bench {
    pub(crate) engine: DockerEngine,
    /// The stand-in, when it is one. Otherwise the engine is the machine's, from which everything that carries the
    /// bench's label is removed in the end.
    pub(crate) fake: Option<FakeDocker>,
    /// Part of every name, and the label's value.
    pub(crate) id: String,
    pub(crate) directory: tempfile::TempDir,
    endpoint: Endpoint,
}

impl Bench {
    pub(crate) fn new(endpoint: Endpoint, fake: Option<FakeDocker>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos() % 1_000_000_000;
        let id = format!("{}-{}-{now}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let engine = DockerEngine::connect(&endpoint).expect("a usable endpoint");
        Self { engine, fake, id, directory: tempfile::tempdir().expect("a directory"), endpoint }
    }

    /// The bench's label as a filter.
    pub(crate) fn filter(&self) -> Vec<String> {
        vec![format!("{LABEL}={}", self.id)]
    }

    pub(crate) fn label(&self) -> (String, String) {
        (LABEL.to_owned(), self.id.clone())
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([self.label()])
    }

    pub(crate) fn name(&self, of: &str) -> String {
        format!("boxwood-test-{of}-{}", self.id)
    }

    /// A container that does nothing until it is stopped, with no wish beyond that.
    pub(crate) fn spec(&self, name: &str) -> ContainerSpec {
        ContainerSpec {
            name: self.name(name),
            image: IMAGE.to_owned(),
            command: ["sleep", "300"].map(str::to_owned).to_vec(),
            env: BTreeMap::new(),
            labels: self.labels(),
            user: "1234:1234".to_owned(),
            workdir: "/".to_owned(),
            hostname: "bench".to_owned(),
            mounts: Vec::new(),
            memory_bytes: 0,
            nano_cpus: 0,
            pids: 0,
            nofile: 0,
            network: NetworkMode::None,
            ..ContainerSpec::default()
        }
    }

    /// A container that runs.
    pub(crate) async fn running(&self, name: &str) -> String {
        self.run(&self.spec(name)).await
    }

    pub(crate) async fn run(&self, spec: &ContainerSpec) -> String {
        let id = self.engine.create_container(spec).await.expect("a container is made");
        self.engine.start_container(&id).await.expect("the container starts");
        id
    }

    /// Waits until a container of [`Self::spec`] hears signals: its init drops those that come before it has begun.
    pub(crate) async fn listens(&self, container: &str) {
        if self.fake.is_some() {
            return;
        }
        let look = async {
            while !self.output(container, &["sh", "-c", "cat /proc/[0-9]*/comm"]).await.0.contains("sleep") {}
        };
        tokio::time::timeout(Duration::from_secs(60), look).await.expect("its main process runs");
    }

    /// Runs a command to its end with this input; gives both outputs and its exit status.
    pub(crate) async fn exec(&self, container: &str, spec: &ExecSpec, input: &[u8]) -> (String, String, i64) {
        let mut running = self.engine.exec(container, spec).await.expect("the command starts");
        let write = async {
            if spec.stdin {
                running.input.write_all(input).await.expect("the input is taken");
                running.input.shutdown().await.expect("the input ends");
            }
        };
        let ((), (stdout, stderr)) = tokio::join!(write, collect(running.output));
        let exit_code = self.engine.exec_exit_code(&running.exec_id).await.expect("an exit status");
        (text(&stdout), text(&stderr), exit_code)
    }

    /// A command without input or terminal.
    pub(crate) async fn output(&self, container: &str, command: &[&str]) -> (String, String, i64) {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.exec(container, &ExecSpec { command, ..ExecSpec::default() }, b"").await
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.fake.is_some() {
            return;
        }
        let (endpoint, filter) = (self.endpoint.clone(), self.filter());
        // A thread of its own, for this may run in the middle of a panic inside a runtime.
        let cleaned = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(remove_all(&endpoint, &filter))
        });
        match cleaned.join() {
            Ok(Ok(())) => {}
            failed if std::thread::panicking() => eprintln!("cleaning up failed: {failed:?}"),
            failed => panic!("cleaning up failed: {failed:?}"),
        }
    }
}

async fn remove_all(endpoint: &Endpoint, filter: &[String]) -> Result<(), EngineError> {
    let engine = DockerEngine::connect(endpoint)?;
    for container in engine.list_containers(filter).await? {
        engine.remove_container(&container.id).await?;
    }
    for volume in engine.list_volumes(filter).await? {
        engine.remove_volume(&volume.name).await?;
    }
    for network in engine.list_networks(filter).await? {
        engine.remove_network(&network.id).await?;
    }
    for image in engine.list_images(filter).await? {
        for tag in &image.tags {
            engine.remove_image(tag).await?;
        }
        if image.tags.is_empty() {
            engine.remove_image(&image.id).await?;
        }
    }
    Ok(())
}

/// Both outputs, to their end.
pub(crate) async fn collect(mut output: EngineStream<Output>) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(piece) = output.next().await {
        let piece = piece.expect("the output is whole");
        match piece.stream {
            OutputStream::Stdout => stdout.extend_from_slice(&piece.bytes),
            OutputStream::Stderr => stderr.extend_from_slice(&piece.bytes),
        }
    }
    (stdout, stderr)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An archive of files.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes()).expect("an archive in memory");
    }
    archive.into_inner().expect("an archive in memory")
}

/// Bytes as a stream, in pieces.
pub(crate) fn stream(bytes: &[u8]) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
    Box::pin(futures::stream::iter(pieces))
}
