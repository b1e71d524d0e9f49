//! Containers changing state.

use serde_json::json;

use super::fake::Health;
use super::http::{Outcome, Query, empty_answer, refuse};
use super::networks;
use super::scripts::Execution;
use super::world::{Container, Engine, World, check_name};

pub(super) fn start(engine: &Engine, id: &str) -> Outcome {
    let scripts = engine.scripts();
    engine.change(|world| {
        let index = world.find(id)?;
        if world.containers[index].is_running() {
            return Ok(empty_answer(304));
        }
        if let Err(refusal) = networks::join(world, index) {
            world.containers[index].exit_code = 128;
            world.containers[index].error.clone_from(&refusal.message);
            return Err(refusal);
        }
        let container = &mut world.containers[index];
        let command = main_command(container);
        container.error = String::new();
        container.state = "running".to_owned();
        container.started_at = Some(jiff::Timestamp::now());
        container.exit_code = 0;
        container.is_oom_killed = false;
        container.run += 1;
        if let Some(health) = container.health.as_mut() {
            *health = (Health::Starting, String::new());
        }
        let key = container.id.clone();
        world.tell(&key, "start", &[]);
        if let Execution::Ends { stdout, stderr, exit_code } = scripts.run_main(&command) {
            write_log(world, &key, 1, &stdout);
            write_log(world, &key, 2, &stderr);
            die(world, &key, exit_code);
        }
        Ok(empty_answer(204))
    })
}

/// Program and arguments of a main process.
pub(super) fn main_command(container: &Container) -> Vec<String> {
    let words = |name: &str| container.request[name].as_array().cloned().unwrap_or_default();
    let all = words("Entrypoint").into_iter().chain(words("Cmd"));
    all.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Adds output of the main process, a line at a time.
pub(super) fn write_log(world: &mut World, id: &str, stream: u8, bytes: &[u8]) {
    if let Ok(container) = world.container_mut(id) {
        container.log.extend(bytes.split_inclusive(|byte| *byte == b'\n').map(|line| (stream, line.to_vec())));
    }
}

/// The main process is gone.
pub(super) fn die(world: &mut World, id: &str, exit_code: i64) {
    let Ok(container) = world.container_mut(id) else { return };
    if !container.is_running() {
        return;
    }
    container.state = "exited".to_owned();
    container.exit_code = exit_code;
    container.places.values_mut().for_each(|place| place.address = None);
    container.finished_at = Some(jiff::Timestamp::now());
    let key = container.id.clone();
    world.tell(&key, "die", &[("exitCode", exit_code.to_string())]);
}

pub(super) fn stop(engine: &Engine, id: &str) -> Outcome {
    engine.change(|world| {
        let container = world.container(id)?;
        if !container.is_running() {
            return Ok(empty_answer(304));
        }
        let key = container.id.clone();
        // The helper ends well when asked to; a process without a handler ends by the signal.
        let is_helper = container.request["Entrypoint"].to_string().contains("boxwood-helper");
        world.tell(&key, "kill", &[("signal", "15".to_owned())]);
        die(world, &key, if is_helper { 0 } else { 143 });
        world.tell(&key, "stop", &[]);
        Ok(empty_answer(204))
    })
}

pub(super) fn kill(engine: &Engine, id: &str, query: &Query) -> Outcome {
    engine.change(|world| {
        let container = world.container(id)?;
        let key = container.id.clone();
        if !container.is_running() {
            return refuse(409, format!("Cannot kill container: {id}: Container {key} is not running"));
        }
        let signal: i64 = match query.get("signal").trim_start_matches("SIG") {
            "" | "KILL" => 9,
            "TERM" => 15,
            "INT" => 2,
            "HUP" => 1,
            other => other.parse().unwrap_or(9),
        };
        world.tell(&key, "kill", &[("signal", signal.to_string())]);
        die(world, &key, 128 + signal);
        Ok(empty_answer(204))
    })
}

pub(super) fn rename(engine: &Engine, id: &str, query: &Query) -> Outcome {
    engine.change(|world| {
        let name = query.get("name").trim_start_matches('/').to_owned();
        let index = world.find(id)?;
        check_name("container", &name)?;
        if let Some(other) = world.containers.iter().find(|container| container.name == name) {
            return refuse(
                409,
                format!(
                    "Error when allocating new name: Conflict. The container name \"/{name}\" is already in use by \
                     container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                    other.id
                ),
            );
        }
        let old = std::mem::replace(&mut world.containers[index].name, name);
        let key = world.containers[index].id.clone();
        world.tell(&key, "rename", &[("oldName", format!("/{old}"))]);
        Ok(empty_answer(204))
    })
}

pub(super) fn remove(engine: &Engine, id: &str, query: &Query) -> Outcome {
    engine.change(|world| {
        let container = world.container(id)?;
        let key = container.id.clone();
        if container.is_running() {
            if !query.is_set("force") {
                return refuse(
                    409,
                    format!(
                        "You cannot remove a running container {key}. Stop the container before attempting removal or \
                         force remove"
                    ),
                );
            }
            world.tell(&key, "kill", &[("signal", "9".to_owned())]);
            die(world, &key, 137);
        }
        world.tell(&key, "destroy", &[]);
        world.containers.retain(|container| container.id != key);
        world.execs.retain(|(_, exec)| exec.container != key);
        Ok(empty_answer(204))
    })
}

/// A health check came to a verdict.
pub(super) fn set_health(world: &mut World, id: &str, health: Health, output: &str) {
    let Ok(container) = world.container_mut(id) else { return };
    let before = container.health.replace((health, output.to_owned()));
    let key = container.id.clone();
    if before.map(|(health, _)| health) != Some(health) {
        world.tell(&key, &format!("health_status: {}", health.word()), &[]);
    }
}

/// The kernel killed the main process for want of memory.
pub(super) fn run_out_of_memory(world: &mut World, id: &str) {
    let Ok(container) = world.container_mut(id) else { return };
    container.is_oom_killed = true;
    let key = container.id.clone();
    world.tell(&key, "oom", &[]);
    die(world, &key, 137);
}

/// Health as inspection shows it.
pub(super) fn health_json(health: Option<&(Health, String)>) -> serde_json::Value {
    let Some((health, output)) = health else { return serde_json::Value::Null };
    let failed = i64::from(*health == Health::Unhealthy);
    let log = match health {
        Health::Starting => json!([]),
        _ => json!([{ "Start": "2026-01-01T00:00:00Z", "End": "2026-01-01T00:00:00Z",
                      "ExitCode": failed, "Output": output }]),
    };
    json!({ "Status": health.word(), "FailingStreak": failed * 3, "Log": log })
}
