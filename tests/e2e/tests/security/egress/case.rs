//! A case: an attempt that must fail, and a twin that does the same where it may and must succeed.

use std::fs;
use std::path::Path;

use boxwood_e2e::World;

/// What the attempts are written in, see [`PRELUDE`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) attempt: &'static str,
    pub(super) twin: &'static str,
}

pub(super) const fn case(name: &'static str, attempt: &'static str, twin: &'static str) -> Case {
    Case { name, attempt, twin }
}

/// What became of a case.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    /// What went wrong; nothing when the attempt failed as it must and its twin succeeded.
    pub(super) problem: Option<String>,
}

/// Words of the scripts. `reach` connects and takes any answer for one, the others want that of a web server; `won` says
/// whether one of those succeeded that were started beside each other and put into `all`.
const PRELUDE: &str = r#"
a="$PWD/attack"
no='not=boxwood: '
reach() { "$a" talk "$1" "$no" 'send=GET / HTTP/1.1\r\nHost: thief.test\r\nConnection: close\r\n\r\n' read=internet; }
reach_echo() { "$a" talk "$1" 'send=hello\n' 'read=internet: hello'; }
http() { "$a" talk "$1:80" "$no" "send=$2" "read=$3"; }
web() { http "$1" "GET / HTTP/1.1\r\nHost: $2\r\nConnection: close\r\n\r\n" internet; }
shake() { "$a" talk "$1" "hello=name=$2" 'read=\x16\x03'; }
browse() { curl -sS -m 5 "$@"; }
proxied() { "$a" talk "$GATEWAY:3128" "$no" "send=GET $1 HTTP/1.1\r\nHost: friend.test\r\nConnection: close\r\n\r\n" read=internet; }
tunnel() { "$a" talk "$GATEWAY:3128" "$no" "send=CONNECT $1 HTTP/1.1\r\nHost: $1\r\n\r\n" 'read= 200'; }
through() { "$a" talk "$GATEWAY:3128" "$no" "send=CONNECT $1 HTTP/1.1\r\nHost: $1\r\n\r\n" 'read= 200' "send=GET ${2:-/} HTTP/1.1\r\nHost: friend.test\r\n\r\n" read=internet; }
won() { local one; for one in "${all[@]}"; do wait "$one" && return 0; done; return 1; }
decimal() { local IFS=.; set -- $1; echo $(( ($1 << 24) | ($2 << 16) | ($3 << 8) | $4 )); }
hextets() { local IFS=.; set -- $1; printf '%02x%02x:%02x%02x' "$1" "$2" "$3" "$4"; }
octets() { local IFS=.; set -- $1; printf '\\x%02x' "$1" "$2" "$3" "$4"; }
friend="$("$a" own friend.test)"
"#;

/// Runs scripts side by side, each in a shell and for a bounded time, and says how each ended and when.
const DRIVER: &str = r#"
cd "$(dirname "$0")/.." || exit 9
one() {
    local start end status
    start=$(date +%s%3N)
    timeout -k 1 25 bash -c '. cases/prelude; . "$0"' "$1" >"$1.out" 2>&1 </dev/null
    status=$?
    end=$(date +%s%3N)
    echo "$(basename "$1") $status $start $end"
}
export -f one
printf '%s\n' cases/*.attempt cases/*.twin | xargs -P "$1" -I{} bash -c 'one {}'
"#;

/// Exit statuses that say that something could not be tried: a tool's misuse, a program that is not there.
const NOT_TRIED: [i32; 3] = [99, 126, 127];

/// How long an attempt may take: the time that the driver gives it.
const MOST_MS: u64 = 25_000;

/// Tries all of them in the sandbox, a few at a time. `settings` are shell assignments that the scripts know.
pub(super) fn run(world: &World, settings: &str, cases: &[Case], at_a_time: usize) -> Vec<Outcome> {
    let directory = world.project().join("cases");
    // Left by an earlier round, or not there.
    let _ = fs::remove_dir_all(&directory);
    world.write("cases/prelude", format!("{settings}{PRELUDE}"));
    world.write("cases/driver", DRIVER);
    for (at, case) in cases.iter().enumerate() {
        world.write(&format!("cases/{at:03}.attempt"), case.attempt);
        world.write(&format!("cases/{at:03}.twin"), case.twin);
    }
    let done = world.exec(["bash", "cases/driver", &at_a_time.to_string()]).ok();
    let told = done.out();
    let is_cut_short = |file: &str| took(&told).any(|(milliseconds, of)| of == file && milliseconds >= MOST_MS);
    let ended = |file: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(file)).unwrap_or_default();
        line.split_whitespace().next().and_then(|status| status.parse::<i32>().ok())
    };
    slowest(&told, cases);
    let said = |file: &str| output(&directory.join(format!("{file}.out")));
    let mut outcomes = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let [attempt, twin] = ["attempt", "twin"].map(|kind| format!("{at:03}.{kind}"));
        let problem = match (ended(&attempt), ended(&twin)) {
            _ if is_cut_short(&attempt) => Some("it took too long for all of it to be tried".to_owned()),
            (Some(0), _) => Some(format!("it was possible: {}", said(&attempt))),
            (Some(status), _) if NOT_TRIED.contains(&status) => {
                Some(format!("it could not be tried ({status}): {}", said(&attempt)))
            }
            (Some(_), Some(0)) => None,
            (Some(_), status) => Some(format!("its twin failed too ({status:?}): {}", said(&twin))),
            (None, _) => Some("it never ended".to_owned()),
        };
        outcomes.push(Outcome { name: case.name.to_owned(), problem });
    }
    outcomes
}

/// How long each took, milliseconds, with the name of its file.
fn took(told: &str) -> impl Iterator<Item = (u64, &str)> {
    told.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [file, _, start, end] = words[..] else { return None };
        Some((end.parse::<u64>().ok()?.saturating_sub(start.parse().ok()?), file))
    })
}

/// Says which took longest, for those who want the suite to be quick.
fn slowest(told: &str, cases: &[Case]) {
    let name = |file: &str| Some(cases.get(file.split('.').next()?.parse::<usize>().ok()?)?.name);
    let mut took: Vec<_> = took(told).filter_map(|(milliseconds, file)| Some((milliseconds, name(file)?))).collect();
    took.sort_unstable();
    for (milliseconds, name) in took.iter().rev().take(3) {
        println!("     {milliseconds} ms: {name}");
    }
}

fn output(file: &Path) -> String {
    let text = fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text).chars().take(600).collect()
}
