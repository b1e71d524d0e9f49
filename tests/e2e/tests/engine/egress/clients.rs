//! Real clients against fake servers with real TLS. The gateway's part in it should not be noticed.

use std::process::Command;
use std::time::Instant;

use boxwood_e2e::api::Api;
use boxwood_e2e::docker;
use boxwood_e2e::internet;
use boxwood_e2e::{World, world::repository};
use serde_json::json;

use super::{Connected, anybody};

const NAMES: [&str; 9] = [
    "any.test",
    "seen.test",
    "git.test",
    "npm.test",
    "pypi.test",
    "crates.test",
    "debian.test",
    "socket.test",
    "stream.test",
];

/// Each in the project's directory; `$AGENT` says what is told apart.
const CLIENTS: &[(&str, &str)] = &[
    ("curl over https", r#"curl -fsS https://any.test/x | grep -q '"internet":"any.test"'"#),
    ("curl over http", r#"curl -fsS http://any.test/x | grep -q '"internet":"any.test"'"#),
    ("curl to a host whose TLS is opened", r#"curl -fsS https://seen.test/x | grep -q '"internet":"seen.test"'"#),
    (
        "curl by the gateway's proxy",
        r#"curl -fsS -x http://gateway.boxwood.internal:3128 https://any.test/x | grep -q any.test && curl -fsS -x http://gateway.boxwood.internal:3128 http://any.test/x | grep -q any.test"#,
    ),
    (
        "curl by the gateway's SOCKS",
        r#"curl -fsS -x socks5h://gateway.boxwood.internal:1080 https://any.test/x | grep -q any.test"#,
    ),
    (
        "a connection that the server breaks off",
        r#"! curl -fsS https://any.test/cut -o cut; test "$(cat cut)" = 'the beginning'"#,
    ),
    (
        "a redirect",
        r#"curl -fsSL "https://any.test/redirect?to=https%3A%2F%2Fseen.test%2Fafter" | grep -q '"uri":"/after"'"#,
    ),
    (
        "git over https: clone, commit, push",
        r#"rm -rf g && git clone -q https://git.test/left-over.git g && cd g && git -c user.name=n -c user.email=e commit -q --allow-empty -m second && git push -q origin HEAD && git ls-remote https://git.test/left-over.git | grep -q "$(git rev-parse HEAD)""#,
    ),
    (
        "git over ssh: clone and push",
        r#"export GIT_SSH_COMMAND="ssh -i $PWD/key -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$PWD/known" && rm -rf s && git clone -q ssh://root@git.test/srv/git/over-ssh.git s && cd s && git -c user.name=n -c user.email=e commit -q --allow-empty -m second && git push -q origin HEAD"#,
    ),
    (
        "npm install",
        r#"mkdir -p n && cd n && echo '{"name":"n","version":"1.0.0"}' >package.json && npm install --no-audit --no-fund --no-update-notifier --registry https://npm.test/ left-over && node -e 'process.exit(require("left-over") === "left over" ? 0 : 1)'"#,
    ),
    (
        "pip install",
        r#"pip install --quiet --disable-pip-version-check --no-cache-dir --target p --index-url https://pypi.test/simple/ left-over && PYTHONPATH=p python3 -c 'import left_over; assert left_over.SAYS == "left over"'"#,
    ),
    (
        "cargo fetch from a sparse index",
        r#"mkdir -p c/src && cd c && printf '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nleft-over = "1"\n' >Cargo.toml && echo 'fn main() {}' >src/main.rs && export CARGO_HOME="$PWD/home" && mkdir -p home && printf '[source.crates-io]\nreplace-with = "test"\n[source.test]\nregistry = "sparse+https://crates.test/"\n' >home/config.toml && cargo fetch --quiet && ls home/registry/cache/*/left-over-1.0.0.crate"#,
    ),
    (
        "apt-get update and download",
        r#"mkdir -p d/state/lists/partial d/cache/archives/partial d/etc/preferences.d && cd d && echo 'deb [trusted=yes] https://debian.test/ stable main' >etc/sources.list && : >status && set -- -o Dir::State="$PWD/state" -o Dir::State::status="$PWD/status" -o Dir::Cache="$PWD/cache" -o Dir::Etc="$PWD/etc" -o Dir::Etc::Parts=none -o Dir::Etc::SourceParts=none -o APT::Sandbox::User="$(id -un)" -o Acquire::https::CaInfo="$SSL_CERT_FILE" -o APT::Update::Error-Mode=any && apt-get -q "$@" update && apt-get -q "$@" download left-over && dpkg-deb -f left-over_*.deb Version"#,
    ),
    (
        "node's fetch",
        r#"node -e 'fetch("https://any.test/x").then((r) => r.json()).then((j) => process.exit(j.internet === "any.test" ? 0 : 1))'"#,
    ),
    (
        "node's fetch of a host whose TLS is opened",
        r#"node -e 'fetch("https://seen.test/x", { method: "POST", body: "b".repeat(1e6) }).then((r) => r.json()).then((j) => process.exit(j.method === "POST" ? 0 : 1))'"#,
    ),
    (
        "python's own client",
        r#"python3 -c 'import urllib.request, json; assert json.load(urllib.request.urlopen("https://seen.test/x"))["internet"] == "seen.test"'"#,
    ),
    ("a web socket over TLS", "node socket.mjs any.test"),
    ("a web socket over TLS that is opened", "node socket.mjs socket.test"),
    ("events, each when it happens", "node events.mjs any.test"),
    ("events through TLS that is opened", "node events.mjs stream.test"),
    (
        "a large download",
        r#"test "$(curl -fsS "https://any.test/down?bytes=200000000" | sha256sum | cut -d' ' -f1)" = "$(curl -fsS "https://any.test/sum?bytes=200000000" | cut -d'"' -f4)""#,
    ),
    (
        "a large download through TLS that is opened",
        r#"test "$(curl -fsS "https://seen.test/down?bytes=60000000" | sha256sum | cut -d' ' -f1)" = "$(curl -fsS "https://any.test/sum?bytes=60000000" | cut -d'"' -f4)""#,
    ),
    (
        "a large upload",
        r#"head -c 100000000 /dev/urandom >up && curl -fsS -T up https://any.test/up | grep -q "$(sha256sum <up | cut -d' ' -f1)""#,
    ),
    (
        "a large upload through TLS that is opened",
        r#"head -c 40000000 /dev/urandom >up2 && curl -fsS -T up2 https://seen.test/up | grep -q "$(sha256sum <up2 | cut -d' ' -f1)""#,
    ),
    ("many connections at a time", r#"seq 60 | xargs -P 30 -I{} curl -fsS -o /dev/null https://any.test/{}"#),
    (
        "many requests on one connection",
        r#"curl -fsS $(for n in $(seq 200); do echo "https://seen.test/$n -o /dev/null"; done) -w '%{num_connects}\n' | awk '{ s += $1 } END { exit s > 3 }'"#,
    ),
];

/// Sends a text and a long one, and wants them back.
const SOCKET: &str = r#"
import { request } from "node:https";
const socket = await new Promise((resolve, reject) => {
  const asked = request({ host: process.argv[2], path: "/socket", headers: { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==" } });
  asked.on("upgrade", (_, socket) => resolve(socket)).on("response", (r) => reject(new Error(`status ${r.statusCode}`))).on("error", reject).end();
});
for (const text of ["hello", "x".repeat(60000)]) {
  const head = text.length < 126 ? Buffer.from([0x81, 0x80 | text.length]) : Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 255]);
  socket.write(Buffer.concat([head, Buffer.alloc(4), Buffer.from(text)]));
  let got = Buffer.alloc(0);
  const whole = text.length + (text.length < 126 ? 2 : 4);
  for await (const piece of socket.iterator({ destroyOnReturn: false })) {
    got = Buffer.concat([got, piece]);
    if (got.length >= whole) break;
  }
  if (got.subarray(whole - text.length).toString() !== text) throw new Error("something else came back");
}
socket.destroy();
"#;

/// Wants ten events, most of them before the last was sent.
const EVENTS: &str = r#"
const response = await fetch(`https://${process.argv[2]}/events?count=10&pause=200`);
const times = [];
let text = "";
for await (const piece of response.body) {
  text += Buffer.from(piece).toString();
  times.push(performance.now());
}
if (text.split("data:").length !== 11) throw new Error(text);
if (times.at(-1) - times[0] < 400) throw new Error(`all came at once: ${times}`);
"#;

/// Repositories for git, and its server for ssh.
fn prepare_machine(here: &Connected, key: &str) {
    let repositories = "for name in left-over over-ssh; do \
                          git init -q -b main /tmp/w && git -C /tmp/w -c user.name=n -c user.email=e commit -q --allow-empty -m first && \
                          git clone -q --bare /tmp/w /srv/git/$name.git && git -C /srv/git/$name.git config http.receivepack true && rm -r /tmp/w; \
                        done";
    let _ = here.machine.sh(repositories);
    let ssh = format!(
        "mkdir -p ~/.ssh /run/sshd && echo '{key}' >~/.ssh/authorized_keys && chmod -R go= ~/.ssh && ssh-keygen -A >/dev/null && /usr/sbin/sshd"
    );
    let _ = here.machine.sh(&ssh);
}

#[test]
fn real_clients_reach_what_they_may_through_the_gateway() {
    let image = docker::ensure_clients_image();
    let world = World::new();
    world.write("socket.mjs", SOCKET);
    world.write("events.mjs", EVENTS);
    let registries = world.root().join("registries");
    let made = Command::new("node").arg(repository().join("tests/fakes/packages.mjs")).arg(&registries).status();
    assert!(made.expect("node starts").success());
    let mut serving = anybody();
    serving["hosts"] = json!({ "git.test": { "git": "/srv/git" } });
    for name in ["npm", "pypi", "crates", "debian"] {
        serving["hosts"][format!("{name}.test")] = json!({ "files": format!("/srv/{name}") });
    }
    let allow: Vec<_> = NAMES.iter().map(|name| json!(name)).chain([json!("git.test:22")]).collect();
    let inspected: Vec<_> = ["seen.test", "socket.test", "stream.test"]
        .map(|host| json!({ "host": host, "action": "allow", "inspect": true }))
        .to_vec();
    let here = Connected::new(
        world,
        |internet| {
            let machine = internet.machine(image, serving);
            for name in ["npm", "pypi", "crates", "debian"] {
                machine.copy(&registries.join(name), &format!("/srv/{name}"));
            }
            machine
        },
        &NAMES,
        json!({ "default": "deny", "allow": allow, "rules": inspected, "limits": { "connectionsPerSecond": 2000 } }),
        &["--image", image],
    );
    let world = &here.world;
    let key = world.sh("ssh-keygen -q -t ed25519 -N '' -f key && cat key.pub").ok().out();
    prepare_machine(&here, key.trim());
    let mut failed = Vec::new();
    for (name, script) in CLIENTS {
        let start = Instant::now();
        let done = world.exec(["timeout", "60", "bash", "-c", script]);
        println!("{} {name}, {} ms", if done.status == 0 { "ok  " } else { "FAIL" }, start.elapsed().as_millis());
        if done.status != 0 {
            failed.push(done.told(name));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(here.machine.requests().iter().all(|request| request["host"] != "thief.test"));
    let refused = world.sh("curl -fsS -m 5 https://thief.test/");
    assert_ne!(refused.status, 0, "what is not allowed is not reached by a real client either");
}

#[test]
fn the_real_claude_streams_through_the_gateway_under_the_apis_own_name() {
    let mut world = World::new();
    let api = Api::serve(&mut world);
    let forward = api.url.strip_prefix("http://").expect("it is plain HTTP").to_owned();
    world.set("ANTHROPIC_BASE_URL", "https://api.anthropic.com");
    let serving = json!({ "https": [443], "hosts": { "api.anthropic.com": { "forward": forward } } });
    // No rule says so: what Claude itself needs is always allowed.
    let here = Connected::new(
        world,
        |internet| internet.machine(internet::PLAIN, serving),
        &["api.anthropic.com"],
        json!({ "default": "deny" }),
        &[],
    );
    let said = here.world.exec(["claude", "-p", "say through-the-gateway"]).ok();
    assert_eq!(said.out().trim(), "through-the-gateway");
    let streamed = here
        .world
        .exec([
            "claude",
            "-p",
            "say piece by piece",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
        ])
        .ok();
    assert!(streamed.out().matches("content_block_delta").count() >= 1, "{}", streamed.out());
    assert!(!api.questions().is_empty());
    let names: Vec<_> =
        here.machine.notes().into_iter().filter(|note| note["kind"] == "tls").map(|note| note["sni"].clone()).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name == "api.anthropic.com"), "{names:?}");
}
