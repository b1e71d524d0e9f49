//! The engine's description of a container in the product's terms.

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummaryStateEnum, HealthStatusEnum, HostConfig,
    Mount as EngineMount, MountPoint, MountType, NetworkSettings,
};

use crate::spec::{Attachment, ContainerDetail, ContainerState, ContainerSummary, HealthReport, HealthState, Mount};

/// How the engine writes "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn summary(found: bollard::models::ContainerSummary) -> ContainerSummary {
    use ContainerSummaryStateEnum as Engine;
    ContainerSummary {
        id: found.id.unwrap_or_default(),
        name: own_name(&found.names.unwrap_or_default()),
        image: found.image.unwrap_or_default(),
        state: match found.state {
            Some(Engine::RUNNING | Engine::STOPPING) => ContainerState::Running,
            Some(Engine::PAUSED) => ContainerState::Paused,
            Some(Engine::RESTARTING) => ContainerState::Restarting,
            Some(Engine::REMOVING) => ContainerState::Removing,
            Some(Engine::EXITED) => ContainerState::Exited,
            Some(Engine::DEAD) => ContainerState::Dead,
            _ => ContainerState::Created,
        },
        labels: found.labels.unwrap_or_default(),
        created_unix: found.created.unwrap_or_default(),
    }
}

/// A container linked from others has names below theirs as well; its own has no further slash.
fn own_name(names: &[String]) -> String {
    let trimmed = |name: &String| name.trim_start_matches('/').to_owned();
    names.iter().map(trimmed).find(|name| !name.contains('/')).unwrap_or_default()
}

pub(super) fn detail(found: ContainerInspectResponse) -> ContainerDetail {
    let state = found.state.unwrap_or_default();
    let config = found.config.unwrap_or_default();
    let host = found.host_config.unwrap_or_default();
    let run_state = run_state(state.status);
    let started_at = state.started_at.filter(|time| !time.is_empty() && time != NEVER);
    let has_ended = matches!(run_state, ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting);
    ContainerDetail {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        image_id: found.image.unwrap_or_default(),
        state: run_state,
        // A start that failed leaves a status too, in a container that was never started.
        exit_code: state.exit_code.filter(|code| has_ended || (run_state == ContainerState::Created && *code != 0)),
        is_oom_killed: state.oom_killed.unwrap_or_default(),
        error: state.error.unwrap_or_default(),
        health: health(state.health),
        created_at: found.created.unwrap_or_default().to_string(),
        started_at,
        labels: config.labels.unwrap_or_default(),
        mounts: mounts(&host, found.mounts.unwrap_or_default()),
        user: config.user.unwrap_or_default(),
        memory_bytes: positive(host.memory),
        nano_cpus: positive(host.nano_cpus),
        pids: u32::try_from(positive(host.pids_limit)).unwrap_or(u32::MAX),
        nofile: nofile(&host),
        networks: attachments(found.network_settings.unwrap_or_default()),
    }
}

fn attachments(settings: NetworkSettings) -> Vec<Attachment> {
    let mut networks: Vec<_> = settings
        .networks
        .unwrap_or_default()
        .into_iter()
        // `none` is the engine's name for being on no network.
        .filter(|(network, _)| network != "none")
        .map(|(network, endpoint)| {
            let asked = endpoint.ipam_config.and_then(|config| config.ipv4_address);
            let address = endpoint.ip_address.filter(|address| !address.is_empty()).or(asked);
            Attachment { network, ipv4: address.and_then(|address| address.parse().ok()) }
        })
        .collect();
    networks.sort_by(|a, b| a.network.cmp(&b.network));
    networks
}

fn run_state(status: Option<ContainerStateStatusEnum>) -> ContainerState {
    use ContainerStateStatusEnum as Engine;
    match status {
        Some(Engine::RUNNING | Engine::STOPPING) => ContainerState::Running,
        Some(Engine::PAUSED) => ContainerState::Paused,
        Some(Engine::RESTARTING) => ContainerState::Restarting,
        Some(Engine::REMOVING) => ContainerState::Removing,
        Some(Engine::EXITED) => ContainerState::Exited,
        Some(Engine::DEAD) => ContainerState::Dead,
        _ => ContainerState::Created,
    }
}

fn health(found: Option<bollard::models::Health>) -> HealthReport {
    let found = found.unwrap_or_default();
    let last = found.log.unwrap_or_default().pop();
    HealthReport {
        state: match found.status {
            Some(HealthStatusEnum::STARTING) => HealthState::Starting,
            Some(HealthStatusEnum::HEALTHY) => HealthState::Healthy,
            Some(HealthStatusEnum::UNHEALTHY) => HealthState::Unhealthy,
            _ => HealthState::None,
        },
        output: last.and_then(|check| check.output).unwrap_or_default(),
    }
}

/// Mounts as they were asked for, and after them what the image or somebody else added.
fn mounts(host: &HostConfig, points: Vec<MountPoint>) -> Vec<Mount> {
    let asked: Vec<Mount> = host.mounts.iter().flatten().filter_map(asked_mount).collect();
    let is_asked = |target: &str| asked.iter().any(|mount| mount_target(mount) == target);
    let added: Vec<Mount> = points
        .into_iter()
        .filter(|point| !is_asked(point.destination.as_deref().unwrap_or_default()))
        .filter_map(mount_point)
        .collect();
    asked.into_iter().chain(added).collect()
}

fn mount_target(mount: &Mount) -> &str {
    match mount {
        Mount::Bind { target, .. } | Mount::Volume { target, .. } | Mount::Tmpfs { target, .. } => target,
    }
}

fn asked_mount(mount: &EngineMount) -> Option<Mount> {
    let target = mount.target.clone()?;
    let source = mount.source.clone().unwrap_or_default();
    let read_only = mount.read_only.unwrap_or_default();
    match mount.typ? {
        MountType::BIND => Some(Mount::Bind { source, target, read_only }),
        MountType::VOLUME => {
            let no_copy = mount.volume_options.as_ref().and_then(|options| options.no_copy).unwrap_or_default();
            Some(Mount::Volume { name: source, target, read_only, no_copy })
        }
        MountType::TMPFS => {
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            let mode = options.mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o1777);
            Some(Mount::Tmpfs { target, size_bytes: positive(options.size_bytes), mode })
        }
        _ => None,
    }
}

fn mount_point(point: MountPoint) -> Option<Mount> {
    let target = point.destination?;
    let read_only = !point.rw.unwrap_or(true);
    match point.typ.as_deref()? {
        "bind" => Some(Mount::Bind { source: point.source.unwrap_or_default(), target, read_only }),
        "volume" => Some(Mount::Volume { name: point.name.unwrap_or_default(), target, read_only, no_copy: false }),
        _ => None,
    }
}

fn nofile(host: &HostConfig) -> u32 {
    let limits = host.ulimits.iter().flatten();
    let limit = limits.filter(|limit| limit.name.as_deref() == Some("nofile")).find_map(|limit| limit.soft);
    u32::try_from(positive(limit)).unwrap_or(u32::MAX)
}

fn positive(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(text: &str) -> ContainerDetail {
        detail(serde_json::from_str(text).expect("the engine's form"))
    }

    #[test]
    fn a_running_container() {
        let found = inspected(
            r#"{"Id":"ab","Name":"/boxwood-x","Image":"sha256:1","Created":"2026-01-02T03:04:05.6Z",
                "State":{"Status":"running","Running":true,"ExitCode":0,"StartedAt":"2026-01-02T03:04:06Z",
                         "Health":{"Status":"unhealthy","Log":[{"ExitCode":0,"Output":"old"},{"ExitCode":1,"Output":"new"}]}},
                "Config":{"Image":"debian","User":"1:2","Labels":{"k":"v"}},
                "HostConfig":{"Memory":5,"NanoCpus":6,"PidsLimit":7,
                    "Ulimits":[{"Name":"core","Soft":1,"Hard":1},{"Name":"nofile","Soft":8,"Hard":8}],
                    "Mounts":[{"Type":"volume","Source":"v","Target":"/v","ReadOnly":true,"VolumeOptions":{"NoCopy":true}},
                              {"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":9,"Mode":448}}]},
                "Mounts":[{"Type":"volume","Name":"v","Source":"/data/v","Destination":"/v","RW":false},
                          {"Type":"volume","Name":"anon","Source":"/data/anon","Destination":"/cache","RW":true}]}"#,
        );
        assert_eq!(found.name, "boxwood-x");
        assert_eq!((found.state, found.exit_code), (ContainerState::Running, None));
        assert_eq!(found.health, HealthReport { state: HealthState::Unhealthy, output: "new".to_owned() });
        assert_eq!((found.memory_bytes, found.nano_cpus, found.pids, found.nofile), (5, 6, 7, 8));
        let volume = |name: &str, target: &str, read_only, no_copy| Mount::Volume {
            name: name.to_owned(),
            target: target.to_owned(),
            read_only,
            no_copy,
        };
        let tmpfs = Mount::Tmpfs { target: "/t".to_owned(), size_bytes: 9, mode: 0o700 };
        assert_eq!(found.mounts, [volume("v", "/v", true, true), tmpfs, volume("anon", "/cache", false, false)]);
    }

    #[test]
    fn a_container_that_never_started() {
        let created = inspected(r#"{"State":{"Status":"created","ExitCode":0,"StartedAt":"0001-01-01T00:00:00Z"}}"#);
        assert_eq!((created.state, created.exit_code, created.started_at), (ContainerState::Created, None, None));
        let failed = inspected(r#"{"State":{"Status":"created","ExitCode":127,"Error":"not found"}}"#);
        assert_eq!((failed.exit_code, failed.error.as_str()), (Some(127), "not found"));
    }

    #[test]
    fn a_container_that_ended() {
        let found =
            inspected(r#"{"State":{"Status":"exited","ExitCode":137,"OOMKilled":true},"HostConfig":{"PidsLimit":-1}}"#);
        assert_eq!((found.exit_code, found.is_oom_killed, found.pids), (Some(137), true, 0));
    }

    #[test]
    fn a_linked_container_keeps_its_own_name() {
        assert_eq!(own_name(&["/other/db".to_owned(), "/db-1".to_owned()]), "db-1");
    }
}
