//! Inside, nothing reaches the host, the engine or more rights than the person's own in the project.

use boxwood_e2e::{World, docker};

#[track_caller]
fn fails(world: &World, line: &str) {
    let done = world.sh(line);
    assert_ne!(done.status, 0, "{}", done.told(&format!("'{line}' was possible")));
}

#[test]
fn no_process_has_a_capability_or_can_gain_one() {
    let world = World::new();
    let _ = world.start();
    let status = world.sh("grep -h -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status /proc/1/status").ok().out();
    for line in status.lines() {
        let (name, value) = line.split_once(':').expect("a name and a value");
        match name {
            "NoNewPrivs" => assert_eq!(value.trim(), "1"),
            "Seccomp" => assert_eq!(value.trim(), "2", "filtered"),
            _ => assert!(value.trim().chars().all(|digit| digit == '0'), "{line}"),
        }
    }
    assert_eq!(status.matches("CapEff").count(), 2);
}

#[test]
fn mounts_namespaces_and_other_roots_are_out_of_reach() {
    let world = World::new();
    let _ = world.start();
    for line in [
        "mkdir -p ~/m && mount -t tmpfs none ~/m",
        "mkdir -p ~/m && mount --bind / ~/m",
        "mount -o remount,rw /opt/boxwood",
        "mount -o remount,rw .vscode",
        "umount .vscode",
        "umount /opt/boxwood",
        "umount -l /home/boxwood",
        "unshare --mount true",
        "unshare --user --map-root-user true",
        "chroot / true",
        "nsenter --target 1 --mount true",
        "mknod ~/disk b 8 0",
        "hostname evil",
        "date --set 2001-01-01",
        "echo 1 >/proc/sys/kernel/panic",
        "echo b >/proc/sysrq-trigger",
        "echo /evil >/proc/sys/kernel/core_pattern",
        "echo 1 >/sys/kernel/uevent_helper",
        "cat /proc/kcore | head -c 1 | grep -q .",
        "dmesg",
        "test -c /dev/kmsg && echo evil >/dev/kmsg",
    ] {
        fails(&world, line);
    }
}

#[test]
fn the_runtime_volume_cannot_be_changed() {
    let world = World::new();
    let _ = world.start();
    for line in [
        "echo evil >>/opt/boxwood/bin/claude",
        "rm -f /opt/boxwood/bin/claude",
        "mv /opt/boxwood/bin /opt/boxwood/old",
        "mv /opt/boxwood /opt/old",
        "touch /opt/boxwood/new",
        "chmod 777 /opt/boxwood/bin/boxwood-helper",
        "ln -sf /tmp/evil /opt/boxwood/bin/rg",
        "cp /bin/sh /opt/boxwood/bin/claude",
    ] {
        fails(&world, line);
    }
    let mount = docker::inspect(&world.inspect().container_id).expect("there")["Mounts"].take();
    let runtime = mount.as_array().into_iter().flatten().find(|mount| mount["Destination"] == "/opt/boxwood").cloned();
    assert_eq!(runtime.expect("it is mounted")["RW"], false);
    let _ = world.exec(["/opt/boxwood/bin/boxwood-helper", "verify", "--root", "/opt/boxwood"]).ok();
}

#[test]
fn there_is_no_engine_and_no_device_inside() {
    let world = World::new();
    let _ = world.start();
    let sockets = world.sh("find / -xdev -type s 2>/dev/null; ls -d /var/run/docker.sock /run/docker.sock /run/containerd /run/podman 2>/dev/null; true").ok();
    let strange: Vec<_> = sockets.out().lines().filter(|line| !line.starts_with("/tmp/")).map(str::to_owned).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let devices = world.sh("find /dev -type b; ls /dev").ok().out();
    for name in devices.lines() {
        let is_usual = [
            "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
            "stdout", "tty", "urandom", "zero",
        ]
        .contains(&name);
        assert!(is_usual, "/dev/{name} is inside");
    }
    let detail = docker::inspect(&world.inspect().container_id).expect("there");
    let host = &detail["HostConfig"];
    assert!(host["Devices"].as_array().is_none_or(Vec::is_empty));
    for mode in ["PidMode", "UTSMode", "UsernsMode"] {
        assert_eq!(host[mode], "", "{mode}");
    }
    assert_ne!(host["IpcMode"], "host");
    assert_ne!(host["NetworkMode"], "host");
    let sources: Vec<_> = world.inspect().mounts.into_iter().map(|mount| mount.source).collect();
    for source in &sources {
        let is_own = source.starts_with(&*world.root().to_string_lossy()) || source.starts_with("boxwood-runtime-");
        assert!(is_own, "{source} of the host is inside");
    }
}

#[test]
fn only_its_own_processes_can_be_seen_and_none_of_others_touched() {
    let world = World::new();
    let _ = world.start();
    let daemon = world.daemon().expect("it runs").pid;
    fails(&world, &format!("kill -0 {daemon} 2>/dev/null && grep -q boxwood.daemon /proc/{daemon}/cmdline"));
    let seen = world.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'").ok().out();
    assert!(!seen.contains("dockerd"), "{seen}");
    assert!(seen.contains("boxwood-helper"), "it sees its own: {seen}");
    fails(&world, "head -c 1 /proc/1/mem");
    fails(&world, &format!("test -e /proc/1/root{}", world.state().display()));
}

#[test]
fn programs_with_the_setuid_bit_gain_nothing() {
    let world = World::new();
    let _ = world.start();
    let me = world.exec(["id", "-u"]).ok().out();
    let found = world.sh("find / -xdev -perm /6000 -type f 2>/dev/null; true").ok().out();
    assert_eq!(
        world.sh("setpriv --help >/dev/null && grep NoNewPrivs /proc/self/status").ok().out().trim(),
        "NoNewPrivs:\t1",
        "{found}"
    );
    fails(&world, "su root -c true </dev/null");
    let _ = world.sh("cp $(command -v id) ~/as-owner && chmod 6755 ~/as-owner").ok();
    assert_eq!(world.sh("~/as-owner -u").ok().out(), me);
}

#[test]
fn what_the_project_asks_for_beyond_the_default_needs_a_yes() {
    for text in [
        r#"{ "memory": "64g" }"#,
        r#"{ "image": "debian:bookworm-slim" }"#,
        r#"{ "env": { "NODE_OPTIONS": "--require /evil.js" } }"#,
        r#"{ "claudeArgs": ["--mcp-config", "evil.json"] }"#,
        r#"{ "pids": 1000000 }"#,
    ] {
        let world = World::new();
        world.write(".boxwood/sandbox.jsonc", text);
        let _ = world.boxwood(["start", "--json"]).run().refused(boxwood_protocol::ErrorCode::ConfigApproval);
        assert!(world.has_no_container(), "{text}");
    }
    let world = World::new();
    let login = world.home().join(".claude/.credentials.json");
    std::fs::create_dir_all(login.parent().expect("it has one")).expect("made");
    std::fs::write(&login, r#"{"claudeAiOauth":{"accessToken":"host-token","refreshToken":"r","expiresAt":99999999999999,"scopes":["user:inference"]}}"#).expect("written");
    world.write(".boxwood/sandbox.jsonc", r#"{ "hostLogin": true }"#);
    let started = world.boxwood(["start", "--json", "--approve-config"]).run();
    let seen = world.sh("cat ~/.claude/.credentials.json 2>/dev/null; true").out();
    assert!(!seen.contains("host-token"), "{}", started.told("gave the host's login to a project that asked for it"));
}
