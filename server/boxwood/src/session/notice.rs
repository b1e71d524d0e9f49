//! A line at the bottom of Claude's screen. It is drawn by the multiplexer inside, so it says what waits and takes no
//! answer: whatever runs there could draw the same.

use std::time::Duration;

use boxwood_engine::{Engine as _, ExecSpec};
use boxwood_protocol::params::AttachTarget;
use futures::StreamExt as _;

/// The helper's program in every sandbox.
const HELPER: &str = "/opt/boxwood/bin/boxwood-helper";

/// What takes longer comes too late.
const DELIVERY: Duration = Duration::from_secs(5);

/// A line, and after how many seconds it goes by itself.
pub(crate) struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) seconds: u64,
}

/// Shows a line, or takes it away. A sandbox of an earlier version cannot show one.
pub(crate) async fn show(target: &AttachTarget, line: Option<Line<'_>>) {
    let mut command = vec![HELPER.to_owned(), "notice".to_owned()];
    command.extend(line.into_iter().flat_map(|line| [line.seconds.to_string(), line.text.to_owned()]));
    let spec = ExecSpec { command, user: target.user.clone(), workdir: "/".to_owned(), ..ExecSpec::default() };
    let delivery = async {
        let engine = super::engine(target).map_err(|error| error.message)?;
        let mut running = engine.exec(&target.container_id, &spec).await.map_err(|error| error.to_string())?;
        while running.output.next().await.is_some() {}
        Ok::<_, String>(())
    };
    match tokio::time::timeout(DELIVERY, delivery).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error, "a line could not be shown"),
        Err(_) => tracing::debug!("the engine is too slow to show a line"),
    }
}
