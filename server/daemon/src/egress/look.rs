//! Looks from inside the agent's container whether its network is what it must be.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use boxwood_engine::{Engine, EngineError, ExecSpec};
use boxwood_protocol::gateway::OWN_NAME;
use boxwood_protocol::{ErrorCode, RpcError};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::entry::Entry;
use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::spec::HELPER;
use crate::lifecycle::verify::capture;

/// How often a running sandbox is looked at without a reason.
const EVERY: Duration = Duration::from_secs(300);
/// How long one look may take: its attempts are bounded, starting it is the engine's.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who looks: nobody else inside is this user, so nobody can stop the check or write its report.
const NOBODY: &str = "65534:65534";

/// Where a sandbox's gateway is in its internal network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// For example `198.18.4.0/22`.
    pub(crate) subnet: String,
    /// The gateway's own address, for example `198.18.4.2`.
    pub(crate) gateway: Ipv4Addr,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nobody looked yet.
    Unknown,
    /// Only the gateway can be reached, and it answers.
    InOrder,
    /// Nothing can be reached, and the gateway does not answer either.
    Silent(String),
    /// Something else than the gateway can be reached.
    Leak(String),
    /// Nobody could look.
    Unchecked(String),
}

#[derive(Deserialize)]
struct Report {
    closed: bool,
    open: bool,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    name: String,
    must_fail: bool,
    ok: bool,
    detail: String,
}

/// Runs the helper's check in the agent's container.
pub(super) async fn look(engine: &dyn Engine, agent: &str, place: &Place) -> std::result::Result<Finding, EngineError> {
    let command =
        [HELPER, "reach", "--gateway", &place.gateway.to_string(), "--subnet", &place.subnet, "--name", OWN_NAME];
    let spec = ExecSpec {
        command: command.map(str::to_owned).to_vec(),
        user: NOBODY.to_owned(),
        workdir: "/".to_owned(),
        ..ExecSpec::default()
    };
    match tokio::time::timeout(PATIENCE, capture(engine, agent, &spec)).await {
        Ok(Ok((output, complaint))) => Ok(understand(&output, &complaint)),
        Ok(Err(cause)) => Err(cause),
        Err(_) => Ok(Finding::Unchecked("the check did not end".to_owned())),
    }
}

fn understand(output: &str, complaint: &str) -> Finding {
    let Ok(report) = serde_json::from_str::<Report>(output.trim()) else {
        let why = [complaint.trim(), output.trim(), "the check said nothing"].into_iter().find(|text| !text.is_empty());
        return Finding::Unchecked(why.unwrap_or_default().chars().take(400).collect());
    };
    let failed = |must_fail: bool| {
        let failed = report.checks.iter().filter(|check| check.must_fail == must_fail && !check.ok);
        failed.map(|check| format!("{}: {}", check.name, check.detail)).collect::<Vec<_>>().join("; ")
    };
    match (report.closed, report.open) {
        (false, _) => Finding::Leak(failed(true)),
        (true, false) => Finding::Silent(failed(false)),
        (true, true) => Finding::InOrder,
    }
}

/// Looks right after a start. An error means that the sandbox must not be left running.
pub(super) async fn first(daemon: &Arc<Daemon>, entry: &Arc<Entry>, agent: &str, place: &Place) -> Result<()> {
    let (engine, _) = daemon.link.engine().await?;
    let mut finding = look(engine.as_ref(), agent, place).await.map_err(|cause| {
        entry.set_finding(daemon, Finding::Unchecked(cause.to_string()));
        error::engine("check the sandbox's network from inside", &cause)
    })?;
    if let Finding::Leak(what) = &mut finding {
        cut_off(engine.as_ref(), entry, agent, what).await;
    }
    let is_first = entry.state().place.replace((place.clone(), agent.to_owned())).is_none();
    entry.set_finding(daemon, finding.clone());
    tracing::info!(sandbox = entry.sandbox, ?finding, "looked from inside");
    match finding {
        Finding::Leak(what) => {
            return Err(RpcError::new(
                ErrorCode::EgressLeak,
                "the sandbox was not left running, because it can reach what it must not be able to reach",
            )
            .caused_by(what));
        }
        Finding::Unchecked(why) => {
            return Err(RpcError::new(
                ErrorCode::EgressLeak,
                "the sandbox was not left running, because its network could not be checked from inside",
            )
            .caused_by(why));
        }
        Finding::Unknown | Finding::InOrder | Finding::Silent(_) => {}
    }
    if is_first {
        let (daemon, entry) = (Arc::clone(daemon), Arc::clone(entry));
        tokio::spawn(async move { now_and_then(&entry.token, &entry.look, || again(&daemon, &entry)).await });
    }
    Ok(())
}

/// Looks again when there is a reason and every few minutes, until the end.
async fn now_and_then<L: Future<Output = ()>>(end: &CancellationToken, reason: &Notify, look: impl Fn() -> L) {
    let ever_again = async {
        loop {
            tokio::select! {
                () = reason.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            look().await;
        }
    };
    let _ = end.run_until_cancelled(ever_again).await;
}

async fn again(daemon: &Arc<Daemon>, entry: &Arc<Entry>) {
    let Some((place, agent)) = entry.state().place.clone() else { return };
    let Ok((engine, _)) = daemon.link.engine().await else { return };
    let mut finding = match look(engine.as_ref(), &agent, &place).await {
        Ok(finding) => finding,
        // It does not run, is paused or gone: there is nobody in it who could reach anything.
        Err(EngineError::Conflict(_) | EngineError::NotFound(_)) => return,
        Err(cause) => Finding::Unchecked(cause.to_string()),
    };
    if finding != entry.state().finding {
        tracing::warn!(sandbox = entry.sandbox, ?finding, "the network is not as it was");
    }
    if let Finding::Leak(what) = &mut finding {
        cut_off(engine.as_ref(), entry, &agent, what).await;
    }
    entry.set_finding(daemon, finding);
}

/// Takes every network away from a container that can reach what it must not, and adds to `what` that it did.
async fn cut_off(engine: &dyn Engine, entry: &Entry, agent: &str, what: &mut String) {
    let taken_away = async {
        for place in engine.inspect_container(agent).await?.networks {
            engine.disconnect_network(&place.network, agent).await?;
        }
        Ok::<_, EngineError>(())
    };
    match taken_away.await {
        Ok(()) => what.push_str("; its network was taken away, 'boxwood restart' makes it anew"),
        Err(cause) => {
            tracing::error!(sandbox = entry.sandbox, %cause, "its network could not be taken away");
            what.push_str("; 'boxwood stop' ends it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_for_a_reason_and_every_few_minutes_until_the_end() {
        let (end, reason, looked) = (CancellationToken::new(), Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let looking = tokio::spawn({
            let (end, reason, looked) = (end.clone(), Arc::clone(&reason), Arc::clone(&looked));
            async move {
                now_and_then(&end, &reason, || async {
                    looked.fetch_add(1, Ordering::Relaxed);
                })
                .await;
            }
        });
        let after = async |seconds| {
            // The clock stands still but for this.
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            looked.load(Ordering::Relaxed)
        };
        assert_eq!((after(299).await, after(2).await), (0, 1));
        reason.notify_one();
        assert_eq!((after(1).await, after(298).await, after(2).await), (2, 2, 3));
        assert_eq!(after(900).await, 6);
        end.cancel();
        looking.await.expect("it ends");
        assert_eq!(after(900).await, 6);
    }

    #[test]
    fn a_leak_weighs_more_than_silence() {
        let report = |closed: bool, open: bool| {
            format!(
                r#"{{"closed":{closed},"open":{open},"checks":[
                {{"name":"public","mustFail":true,"ok":{closed},"detail":"1.1.1.1:443 can be connected to"}},
                {{"name":"gateway","mustFail":false,"ok":{open},"detail":"198.18.4.2:443: no answer"}}]}}"#
            )
        };
        let leak = Finding::Leak("public: 1.1.1.1:443 can be connected to".to_owned());
        assert_eq!(understand(&report(true, true), ""), Finding::InOrder);
        assert_eq!(understand(&report(false, true), ""), leak);
        assert_eq!(understand(&report(false, false), ""), leak);
        assert_eq!(
            understand(&report(true, false), ""),
            Finding::Silent("gateway: 198.18.4.2:443: no answer".to_owned())
        );
        assert_eq!(understand("", "no such command"), Finding::Unchecked("no such command".to_owned()));
        assert_eq!(understand("", ""), Finding::Unchecked("the check said nothing".to_owned()));
    }
}
