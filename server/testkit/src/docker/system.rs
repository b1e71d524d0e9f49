//! What the engine says of itself.

use serde_json::{Value, json};

use super::http::{Answer, bytes_answer, json_answer};
use super::world::Engine;

const VERSION: &str = "20.10.24";

pub(super) fn ping(engine: &Engine) -> Answer {
    let mut answer = bytes_answer(200, "text/plain; charset=utf-8", b"OK".to_vec());
    for (name, value) in [("api-version", engine.settings().max_api.as_str()), ("ostype", "linux")] {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

pub(super) fn version(engine: &Engine) -> Answer {
    let value = json!({
        "Version": VERSION, "ApiVersion": engine.settings().max_api, "MinAPIVersion": "1.12",
        "Os": "linux", "Arch": "amd64", "KernelVersion": "6.1.0", "Components": [],
    });
    json_answer(200, &value)
}

pub(super) fn info(engine: &Engine) -> Answer {
    let settings = engine.settings();
    let (all, running, images) = engine.look(|world| {
        let running = world.containers.iter().filter(|container| container.is_running()).count();
        (world.containers.len(), running, world.images.len())
    });
    let mut value = json!({
        "ID": "FAKE:0000", "Name": "fake", "ServerVersion": VERSION, "OperatingSystem": "Debian GNU/Linux 12",
        "OSType": "linux", "Architecture": "x86_64", "NCPU": settings.cpus, "MemTotal": settings.memory_bytes,
        "DockerRootDir": "/var/lib/docker", "Driver": "overlay2", "SecurityOptions": ["name=seccomp,profile=default"],
        "Containers": all, "ContainersRunning": running, "Images": images,
    });
    for (name, given) in settings.info {
        value[name] = given;
    }
    json_answer(200, &value)
}

/// Nothing, as the engine writes times that never were.
pub(super) fn time(at: Option<jiff::Timestamp>) -> Value {
    at.map_or_else(|| json!("0001-01-01T00:00:00Z"), |at| json!(at.to_string()))
}
