//! Answers that go on: events, logs, figures and waiting.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::http::{Answer, Outcome, Query, frame, message, refuse, stream_answer};
use super::world::{Engine, World, has_labels};

pub(super) fn events(engine: &Engine, query: &Query) -> Answer {
    let (labels, kinds) = (query.filter("label"), query.filter("type"));
    let (actions, containers) = (query.filter("event"), query.filter("container"));
    // Subscribed before the head of the answer goes out: whoever has that misses nothing.
    let receiver = engine.events.subscribe();
    let all = stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(event) => return Some((event, receiver)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let is_wanted = move |event: &Value| {
        let attributes = &event["Actor"]["Attributes"];
        let is_one_of = |wanted: &[String], value: &Value| {
            wanted.is_empty() || wanted.iter().any(|wanted| value.as_str() == Some(wanted.as_str()))
        };
        let action = event["Action"].as_str().unwrap_or_default().split(':').next().unwrap_or_default();
        has_labels(&labels, |key| attributes[key].as_str())
            && is_one_of(&kinds, &event["Type"])
            && is_one_of(&actions, &json!(action))
            && (is_one_of(&containers, &event["Actor"]["ID"]) || is_one_of(&containers, &attributes["name"]))
    };
    let wanted = all.filter(move |event| std::future::ready(is_wanted(event)));
    stream_answer("application/json", wanted.map(|event| message(&event)))
}

pub(super) fn logs(engine: &Arc<Engine>, id: &str, query: &Query) -> Outcome {
    let (key, length) = engine.look(|world| {
        let container = world.container(id)?;
        if container.request["HostConfig"]["LogConfig"]["Type"] == json!("none") {
            return refuse(501, "configured logging driver does not support reading");
        }
        Ok((container.id.clone(), container.log.len()))
    })?;
    let tail = query.get("tail").parse().unwrap_or(usize::MAX);
    let is_shown = |stream: u8| query.is_set(if stream == 2 { "stderr" } else { "stdout" });
    let shown = [is_shown(1), is_shown(2)];
    let cursor =
        Cursor { engine: Arc::clone(engine), key, next: length.saturating_sub(tail), follow: query.is_set("follow") };
    let lines = stream::unfold(cursor, |mut cursor| async move { cursor.line().await.map(|line| (line, cursor)) });
    let lines = lines.filter(move |(stream, _)| std::future::ready(shown[usize::from(*stream == 2)]));
    let frames = lines.map(|(stream, line)| frame(stream, &line));
    Ok(stream_answer("application/vnd.docker.raw-stream", frames))
}

struct Cursor {
    engine: Arc<Engine>,
    key: String,
    next: usize,
    follow: bool,
}

impl Cursor {
    /// The next line; waits for it when following, until the container ends.
    async fn line(&mut self) -> Option<(u8, Vec<u8>)> {
        let (next, follow) = (self.next, self.follow);
        self.next += 1;
        let key = self.key.clone();
        let look = move |world: &World| {
            let Ok(container) = world.container(&key) else { return Some(None) };
            match container.log.get(next) {
                Some(line) => Some(Some(line.clone())),
                None if follow && container.is_running() => None,
                None => Some(None),
            }
        };
        self.engine.until(look).await
    }
}

pub(super) fn wait(engine: &Arc<Engine>, id: &str, query: &Query) -> Outcome {
    let (key, run) = engine.look(|world| world.container(id).map(|found| (found.id.clone(), found.run)))?;
    let engine = Arc::clone(engine);
    let condition = query.get("condition").to_owned();
    let ended = async move {
        // Kept while it exists, for a removed container can no longer be asked.
        let mut last = 0;
        let look = |world: &World| {
            let Ok(container) = world.container(&key) else { return Some(last) };
            last = container.exit_code;
            let is_met = match condition.as_str() {
                "removed" => false,
                "next-exit" => !container.is_running() && container.run > run,
                _ => !container.is_running(),
            };
            is_met.then_some(last)
        };
        let code = engine.until(look).await;
        message(&json!({ "StatusCode": code, "Error": null }))
    };
    Ok(stream_answer("application/json", stream::once(ended)))
}

pub(super) fn stats(engine: &Arc<Engine>, id: &str, query: &Query) -> Outcome {
    let (key, name) = engine.look(|world| world.container(id).map(|found| (found.id.clone(), found.name.clone())))?;
    let meter = Meter { engine: Arc::clone(engine), key, name, used: 0, machine: 1_000_000_000, readings: 0 };
    let readings = readings(meter);
    if query.get("stream") == "false" || query.get("stream") == "0" {
        return Ok(stream_answer("application/json", readings.take(1)));
    }
    Ok(stream_answer("application/json", readings))
}

/// A container's counters.
struct Meter {
    engine: Arc<Engine>,
    key: String,
    name: String,
    used: u64,
    machine: u64,
    readings: u64,
}

fn readings(meter: Meter) -> impl Stream<Item = Bytes> {
    stream::unfold(meter, |mut meter| async move {
        if meter.readings > 0 {
            tokio::time::sleep(meter.engine.settings().stats_interval).await;
        }
        let reading = meter.read()?;
        Some((message(&reading), meter))
    })
}

impl Meter {
    /// `None` when the container no longer runs.
    fn read(&mut self) -> Option<Value> {
        let settings = self.engine.settings();
        let usage = self.engine.look(|world| {
            let running = world.container(&self.key).ok().filter(|container| container.is_running());
            running.map(|container| container.usage)
        })?;
        let counters = |used: u64, machine: u64| {
            json!({ "cpu_usage": { "total_usage": used, "percpu_usage": vec![0; settings.cpus as usize] },
                    "system_cpu_usage": machine, "online_cpus": settings.cpus })
        };
        let before = match self.readings {
            0 => json!({ "cpu_usage": { "total_usage": 0 } }),
            _ => counters(self.used, self.machine),
        };
        // One second on every processor.
        let second = 1_000_000_000_u64;
        self.machine += second * u64::from(settings.cpus);
        self.used += (usage.cpu_percent / 100.0 * second as f64) as u64;
        self.readings += 1;
        let limit = self.engine.look(|world| {
            let container = world.container(&self.key).ok()?;
            container.request["HostConfig"]["Memory"].as_u64().filter(|limit| *limit > 0)
        });
        Some(json!({
            "id": self.key, "name": format!("/{}", self.name), "read": jiff::Timestamp::now().to_string(),
            "cpu_stats": counters(self.used, self.machine), "precpu_stats": before,
            "memory_stats": { "usage": usage.memory_bytes + usage.cache_bytes, "limit": limit.unwrap_or(settings.memory_bytes),
                              "stats": { "total_inactive_file": usage.cache_bytes } },
            "pids_stats": { "current": usage.pids },
            "networks": { "eth0": { "rx_bytes": usage.network_rx_bytes, "tx_bytes": usage.network_tx_bytes } },
        }))
    }
}
