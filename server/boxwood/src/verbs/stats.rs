//! `stats`: what sandboxes use, and how operations fare.

use std::collections::BTreeMap;

use boxwood_client::Connection;
use boxwood_protocol::contract::{Inspect, List, Metrics, Stats};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::operation::Metric;
use boxwood_protocol::params::{Empty, SandboxFilter, SandboxRef, StatsSample};
use boxwood_protocol::sandbox::SandboxState;
use boxwood_protocol::{ErrorCode, Event, RpcError};
use serde::Serialize;

use super::Outcome;
use crate::args::StatsArguments;
use crate::context::Context;
use crate::output::table::{Cell, table};
use crate::output::units::{duration, size};
use crate::output::{Paint, Style};

/// Goes to the top left of the screen and erases what is below.
const REDRAW: &str = "\x1b[H\x1b[J";

/// A sandbox's reading in `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reading<'a> {
    sandbox_id: &'a str,
    sample: &'a StatsSample,
}

pub(super) async fn stats(arguments: StatsArguments, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    if arguments.operations {
        let metrics = connection.call::<Metrics>(&Empty {}).await?;
        if metrics.is_empty() {
            context.screen.note("No operation has ended yet.");
        }
        context.screen.show(&metrics, |paint| operations(&metrics, paint))?;
        return Ok(0);
    }
    let sandboxes = which(&connection, context, arguments.sandbox).await?;
    if sandboxes.is_empty() {
        context.screen.note("No sandbox is running. 'boxwood start' in a project directory starts one.");
    }
    if arguments.follow && !sandboxes.is_empty() {
        return follow(&connection, context, sandboxes).await;
    }
    let mut samples = BTreeMap::new();
    for id in sandboxes {
        let target = SandboxRef { sandbox: Some(id.clone()), ..SandboxRef::default() };
        let sample = context.run::<Stats>(&connection, &target).await?;
        samples.insert(id, sample);
    }
    let readings: Vec<_> = samples.iter().map(|(sandbox_id, sample)| Reading { sandbox_id, sample }).collect();
    context.screen.show(&readings, |paint| words(&samples, paint))?;
    Ok(0)
}

/// The one that is named, the project's, or all that run.
async fn which(connection: &Connection, context: &Context, sandbox: Option<String>) -> Result<Vec<String>, RpcError> {
    if sandbox.is_some() || context.global.project.is_some() || context.global.session.is_some() {
        let target = context.target(crate::args::TargetArguments { sandbox })?;
        let known = connection.call::<Inspect>(&target).await?.sandbox;
        if known.state != SandboxState::Running {
            let message = format!("the sandbox {} is not running", known.id);
            return Err(RpcError::new(ErrorCode::SandboxNotRunning, message));
        }
        return Ok(vec![known.id]);
    }
    let sandboxes = connection.call::<List>(&SandboxFilter::default()).await?;
    Ok(sandboxes.into_iter().filter(|sandbox| sandbox.state == SandboxState::Running).map(|one| one.id).collect())
}

/// Shows each reading as it comes, until the last of the sandboxes has ended.
async fn follow(connection: &Connection, context: &Context, mut sandboxes: Vec<String>) -> Outcome {
    let screen = context.screen;
    let is_drawn = screen.is_output_terminal && screen.is_progress_drawn;
    let mut events = connection.subscribe(&SubscribeParams { stats: sandboxes.clone() }).await?;
    let mut samples = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Stats { sandbox_id, sample } if sandboxes.contains(&sandbox_id) => {
                if screen.json {
                    screen.json_line(&Reading { sandbox_id: &sandbox_id, sample: &sample })?;
                    continue;
                }
                let is_first = samples.is_empty();
                samples.insert(sandbox_id.clone(), sample.clone());
                if is_drawn {
                    screen.print(&format!("{REDRAW}{}", words(&samples, screen.output)))?;
                } else {
                    let text = words(&BTreeMap::from([(sandbox_id, sample)]), screen.output);
                    let rows = text.lines().skip(usize::from(!is_first));
                    screen.print(&rows.collect::<Vec<_>>().join("\n"))?;
                }
            }
            Event::SandboxChanged { sandbox } if sandbox.state != SandboxState::Running => {
                sandboxes.retain(|id| *id != sandbox.id);
                samples.remove(&sandbox.id);
            }
            Event::SandboxRemoved { id } => {
                sandboxes.retain(|known| *known != id);
                samples.remove(&id);
            }
            _ => {}
        }
        if sandboxes.is_empty() {
            screen.note("No sandbox is left running.");
            return Ok(0);
        }
    }
    Err(RpcError::new(ErrorCode::DaemonUnavailable, "the daemon stopped sending readings"))
}

fn words(samples: &BTreeMap<String, StatsSample>, paint: Paint) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = samples
        .iter()
        .map(|(id, sample)| {
            #[expect(clippy::cast_precision_loss, reason = "a share in whole percent")]
            let share = 100.0 * sample.memory_bytes as f64 / sample.memory_limit_bytes.max(1) as f64;
            let style = if share >= 90.0 { Style::Bad } else { Style::Plain };
            vec![
                Cell::styled(Style::Head, id),
                format!("{:.1} %", sample.cpu_percent).into(),
                Cell::styled(style, format!("{} of {}", size(sample.memory_bytes), size(sample.memory_limit_bytes))),
                sample.pids.to_string().into(),
                size(sample.network_rx_bytes).into(),
                size(sample.network_tx_bytes).into(),
            ]
        })
        .collect();
    table(paint, &["SANDBOX", "CPU", "MEMORY", "PROCESSES", "RECEIVED", "SENT"], &rows)
}

fn operations(metrics: &[Metric], paint: Paint) -> String {
    if metrics.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = metrics
        .iter()
        .map(|metric| {
            let failed = if metric.failed > 0 { Style::Bad } else { Style::Plain };
            vec![
                Cell::styled(Style::Head, &metric.kind),
                metric.ok.to_string().into(),
                metric.cancelled.to_string().into(),
                Cell::styled(failed, metric.failed.to_string()),
                duration(metric.median_ms).into(),
                duration(metric.p95_ms).into(),
                duration(metric.max_ms).into(),
            ]
        })
        .collect();
    table(paint, &["OPERATION", "OK", "CANCELLED", "FAILED", "MEDIAN", "95 OF 100", "LONGEST"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_and_operations_are_tables() {
        let sample = StatsSample {
            cpu_percent: 153.27,
            memory_bytes: 512 << 20,
            memory_limit_bytes: 8 << 30,
            pids: 42,
            network_rx_bytes: 1500,
            network_tx_bytes: 0,
        };
        insta::assert_snapshot!(words(&BTreeMap::from([("shop-0a1b2c3d".to_owned(), sample)]), Paint::new(false)), @r"
        SANDBOX        CPU      MEMORY              PROCESSES  RECEIVED  SENT
        shop-0a1b2c3d  153.3 %  512 MiB of 8.0 GiB  42         1.5 KiB   0 B
        ");
        let metric = Metric {
            kind: "ensure".to_owned(),
            ok: 12,
            cancelled: 1,
            failed: 2,
            median_ms: 310,
            p95_ms: 4100,
            max_ms: 185_000,
        };
        insta::assert_snapshot!(operations(&[metric], Paint::new(false)), @r"
        OPERATION  OK  CANCELLED  FAILED  MEDIAN  95 OF 100  LONGEST
        ensure     12  1          2       310 ms  4.1 s      3 min
        ");
    }
}
