//! A container's figures, computed as the `docker stats` command does.

use std::future::ready;

use bollard::models::{ContainerCpuStats, ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use futures::StreamExt;

use super::connect::DockerEngine;
use super::names;
use crate::EngineStream;
use crate::error::EngineError;
use crate::spec::StatsReading;

/// Readings about once a second. The engine's first has nothing before it to compare with and is left out.
pub(super) async fn stats(engine: &DockerEngine, id: &str) -> Result<EngineStream<StatsReading>, EngineError> {
    let id = names::object("container", id)?;
    let options = StatsOptionsBuilder::default().stream(true).build();
    let answers = engine.open_quickly(|docker| docker.stats(id, Some(options))).await?;
    Ok(Box::pin(answers.filter_map(|answer| ready(answer.map(|answer| reading(&answer)).transpose()))))
}

/// `None` when the answer has no reading before it, or is of a container that does not run.
fn reading(answer: &ContainerStatsResponse) -> Option<StatsReading> {
    let cpu_percent = cpu_percent(answer.precpu_stats.as_ref()?, answer.cpu_stats.as_ref()?)?;
    let networks = answer.networks.iter().flat_map(|networks| networks.values());
    let (network_rx_bytes, network_tx_bytes) = networks.fold((0, 0), |(received, sent), network| {
        (received + network.rx_bytes.unwrap_or_default(), sent + network.tx_bytes.unwrap_or_default())
    });
    let memory = answer.memory_stats.as_ref();
    Some(StatsReading {
        cpu_percent,
        memory_bytes: memory.map(memory_in_use).unwrap_or_default(),
        memory_limit_bytes: memory.and_then(|memory| memory.limit).unwrap_or_default(),
        pids: answer.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or_default(),
        network_rx_bytes,
        network_tx_bytes,
    })
}

/// Share of the machine's time that the container used, times the machine's processors.
fn cpu_percent(before: &ContainerCpuStats, now: &ContainerCpuStats) -> Option<f64> {
    let used = |stats: &ContainerCpuStats| stats.cpu_usage.as_ref().and_then(|usage| usage.total_usage);
    let machine_before = before.system_cpu_usage.filter(|time| *time > 0)?;
    let machine = now.system_cpu_usage?.checked_sub(machine_before)?;
    // A restarted container's counter begins again.
    let container = used(now)?.saturating_sub(used(before)?);
    if machine == 0 {
        return Some(0.0);
    }
    let per_processor = now.cpu_usage.as_ref().and_then(|usage| usage.percpu_usage.as_ref()).map(Vec::len);
    let processors = match now.online_cpus {
        Some(online) if online > 0 => f64::from(online),
        _ => per_processor.and_then(|count| u32::try_from(count).ok()).map_or(1.0, f64::from),
    };
    Some(container as f64 / machine as f64 * processors * 100.0)
}

/// Usage without file pages that the kernel can drop: `total_inactive_file` with control groups v1 and
/// `inactive_file` with v2.
fn memory_in_use(memory: &ContainerMemoryStats) -> u64 {
    let usage = memory.usage.unwrap_or_default();
    let droppable = memory.stats.as_ref().and_then(|stats| {
        stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")).copied().filter(|bytes| *bytes < usage)
    });
    usage - droppable.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> ContainerStatsResponse {
        serde_json::from_str(text).expect("the engine's form")
    }

    #[test]
    fn a_reading_of_control_groups_v1() {
        let found = reading(&answer(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":500,"percpu_usage":[1,2]},"system_cpu_usage":3000},
                "precpu_stats":{"cpu_usage":{"total_usage":250},"system_cpu_usage":2000},
                "memory_stats":{"usage":1000,"limit":4000,"stats":{"total_inactive_file":300,"inactive_file":7}},
                "pids_stats":{"current":3},
                "networks":{"eth0":{"rx_bytes":10,"tx_bytes":1},"eth1":{"rx_bytes":5,"tx_bytes":2}}}"#,
        ));
        let expected = StatsReading {
            cpu_percent: 50.0,
            memory_bytes: 700,
            memory_limit_bytes: 4000,
            pids: 3,
            network_rx_bytes: 15,
            network_tx_bytes: 3,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn a_reading_of_control_groups_v2() {
        let found = reading(&answer(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":300},"system_cpu_usage":1100,"online_cpus":4},
                "precpu_stats":{"cpu_usage":{"total_usage":200},"system_cpu_usage":1000},
                "memory_stats":{"usage":1000,"limit":4000,"stats":{"inactive_file":100}}}"#,
        ));
        assert_eq!(found.map(|reading| (reading.cpu_percent, reading.memory_bytes)), Some((400.0, 900)));
    }

    #[test]
    fn the_first_answer_is_no_reading() {
        let first = r#"{"cpu_stats":{"cpu_usage":{"total_usage":300},"system_cpu_usage":1100,"online_cpus":4},
                        "precpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{}}"#;
        assert_eq!(reading(&answer(first)), None);
    }

    #[test]
    fn a_stopped_container_has_no_reading() {
        let stopped = r#"{"cpu_stats":{"cpu_usage":{"total_usage":0}},
                          "precpu_stats":{"cpu_usage":{"total_usage":5},"system_cpu_usage":1100},"memory_stats":{}}"#;
        assert_eq!(reading(&answer(stopped)), None);
    }
}
