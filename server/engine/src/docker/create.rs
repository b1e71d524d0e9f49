//! A container's specification as the engine's request. Pure, so that what every sandbox gets can be read in a test.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType,
    MountVolumeOptions, NetworkingConfig, ResourcesUlimits,
};

use crate::spec::{ContainerSpec, HealthSpec, Mount, NetworkMode};

/// The engine keeps this much of a container's output: three files of ten megabytes.
const LOG_OPTIONS: [(&str, &str); 2] = [("max-size", "10m"), ("max-file", "3")];

pub(super) fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    // An empty entry point means different things to different engines; the program itself as entry point means the
    // same to all, and keeps the image's command out as well.
    let (program, arguments) = spec.command.split_at(spec.command.len().min(1));
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: Some(program.to_vec()),
        cmd: Some(arguments.to_vec()),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(spec.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
        user: given(&spec.user),
        working_dir: given(&spec.workdir),
        hostname: given(&spec.hostname),
        stop_signal: Some("SIGTERM".to_owned()),
        healthcheck: Some(health(spec.health.as_ref())),
        host_config: Some(host_config(spec)),
        networking_config: match &spec.network {
            NetworkMode::Named { name, ipv4: Some(ipv4) } => Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(name.clone(), endpoint(Some(*ipv4)))])),
            }),
            _ => None,
        },
        // Whoever attaches and leaves again does not end the input.
        open_stdin: spec.open_stdin.then_some(true),
        stdin_once: spec.open_stdin.then_some(false),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let memory = (spec.memory_bytes > 0).then(|| saturate(spec.memory_bytes));
    HostConfig {
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        init: Some(!spec.without_init),
        cap_add: (!spec.capabilities.is_empty()).then(|| spec.capabilities.clone()),
        readonly_rootfs: spec.read_only_root.then_some(true),
        sysctls: (!spec.sysctls.is_empty())
            .then(|| spec.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
        dns: (!spec.dns.is_empty()).then(|| spec.dns.iter().map(ToString::to_string).collect()),
        auto_remove: Some(false),
        memory,
        // The same limit with swap leaves no swap to use.
        memory_swap: memory,
        nano_cpus: (spec.nano_cpus > 0).then(|| saturate(spec.nano_cpus)),
        pids_limit: (spec.pids > 0).then(|| i64::from(spec.pids)),
        ulimits: (spec.nofile > 0).then(|| {
            let limit = Some(i64::from(spec.nofile));
            vec![ResourcesUlimits { name: Some("nofile".to_owned()), soft: limit, hard: limit }]
        }),
        network_mode: match &spec.network {
            NetworkMode::Default => None,
            NetworkMode::None => Some("none".to_owned()),
            NetworkMode::Named { name, .. } => Some(name.clone()),
        },
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        log_config: Some(if spec.without_log {
            HostConfigLogConfig { typ: Some("none".to_owned()), config: None }
        } else {
            HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from(LOG_OPTIONS.map(|(name, value)| (name.to_owned(), value.to_owned())))),
            }
        }),
        ..HostConfig::default()
    }
}

/// A place on a network.
pub(super) fn endpoint(ipv4: Option<Ipv4Addr>) -> EndpointSettings {
    EndpointSettings {
        ipam_config: ipv4.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}

/// Mounts and not binds: a bind would make a missing source as a directory of root's.
fn mount(mount: &Mount) -> EngineMount {
    match mount {
        Mount::Bind { source, target, read_only } => EngineMount {
            typ: Some(MountType::BIND),
            source: Some(source.clone()),
            target: Some(target.clone()),
            read_only: Some(*read_only),
            // Engines make only the mount itself read-only: what is mounted below it on the host would stay writable.
            bind_options: read_only.then(|| MountBindOptions {
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                non_recursive: Some(true),
                ..MountBindOptions::default()
            }),
            ..EngineMount::default()
        },
        Mount::Volume { name, target, read_only, no_copy } => EngineMount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            read_only: Some(*read_only),
            volume_options: Some(MountVolumeOptions { no_copy: Some(*no_copy), ..MountVolumeOptions::default() }),
            ..EngineMount::default()
        },
        Mount::Tmpfs { target, size_bytes, mode } => EngineMount {
            typ: Some(MountType::TMPFS),
            target: Some(target.clone()),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: (*size_bytes > 0).then(|| saturate(*size_bytes)),
                mode: Some(i64::from(*mode)),
                ..MountTmpfsOptions::default()
            }),
            ..EngineMount::default()
        },
    }
}

fn health(spec: Option<&HealthSpec>) -> HealthConfig {
    let Some(spec) = spec else {
        return HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() };
    };
    let nanoseconds = |seconds: u32| Some(i64::from(seconds) * 1_000_000_000);
    HealthConfig {
        test: Some(std::iter::once("CMD".to_owned()).chain(spec.command.iter().cloned()).collect()),
        interval: nanoseconds(spec.interval_seconds),
        timeout: nanoseconds(spec.timeout_seconds),
        retries: Some(i64::from(spec.retries)),
        ..HealthConfig::default()
    }
}

fn saturate(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "create_tests.rs"]
mod tests;
