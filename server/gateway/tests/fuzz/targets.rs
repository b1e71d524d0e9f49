//! What is done with arbitrary bytes, and what must hold then: one function for each reader of bytes that the sandbox,
//! or whoever speaks to the gateway in the daemon's place, can send.
//!
//! Used twice: by the tests beside this file, and by the coverage-guided fuzzer in `server/gateway/fuzz`.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use boxwood_core::egress::{Compiled, Host, Pattern, Target, path, rule_text};
use boxwood_gateway::dns::{self, Found, Zone};
use boxwood_gateway::hello::{self, Hello};
use boxwood_gateway::sniff::{self, First};
use boxwood_gateway::socks::{self, Step};
use boxwood_protocol::gateway::{Ask, Request};

/// A target's name and function.
pub(crate) type Entry = (&'static str, fn(&[u8]));

/// All of them. Each has a folder of this name in `corpus`.
pub(crate) const TARGETS: [Entry; 8] = [
    ("dns", dns),
    ("hello", hello),
    ("sniff", sniff),
    ("socks", socks),
    ("http", super::http::requests),
    ("control", control),
    ("host", host),
    ("path", paths),
];

/// A host that came out of a reader is in its normal form: reading it again changes nothing.
pub(crate) fn assert_normal(host: &Host) {
    let text = host.to_string();
    assert_eq!(Host::parse(&text).as_ref(), Ok(host));
    if let Some(name) = host.name() {
        assert!((1..=253).contains(&name.len()), "{name:?}");
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        assert!(name.bytes().all(is_plain) && !name.ends_with('.'), "{name:?}");
    }
}

struct EveryOther;

impl Zone for EveryOther {
    fn look_up(&self, host: &Host, _wants_address: bool) -> Found {
        assert_normal(host);
        match host.name().expect("only names are looked up").len() % 3 {
            0 => Found::Address(Ipv4Addr::new(198, 18, 4, 16)),
            1 => Found::Refused,
            _ => Found::Full,
        }
    }

    fn name_of(&self, address: Ipv4Addr) -> Option<Arc<str>> {
        let label = "a".repeat(63);
        address.octets()[3].is_multiple_of(2).then(|| format!("{label}.{label}.{label}.{}", &label[..61]).into())
    }
}

/// An answer is well-formed, short, to this question, and has at most one record.
fn dns(bytes: &[u8]) {
    let Some(answer) = dns::answer(bytes, &EveryOther) else { return };
    assert!(answer.len() <= dns::MAX_ANSWER);
    assert_eq!(answer[..2], bytes[..2]);
    let message = hickory_proto::op::Message::from_vec(&answer).expect("an answer that parses");
    assert_eq!(message.message_type(), hickory_proto::op::MessageType::Response);
    assert!(message.answers().len() <= 1 && message.queries().len() <= 1);
    assert!(message.name_servers().is_empty() && message.additionals().is_empty() && message.extensions().is_none());
    if let Some(record) = message.answers().first() {
        assert_eq!(record.name(), message.queries()[0].name());
    }
}

/// The answer does not depend on how much was there before, nor on how the message is cut into records.
fn hello(bytes: &[u8]) {
    let whole = hello::read(bytes);
    // Every beginning of a short one, and of a long one as many.
    for length in (0..bytes.len()).step_by(1 + bytes.len() / 256) {
        match (hello::read(&bytes[..length]), &whole) {
            (Ok(None), _) | (Err(_), Err(_)) => {}
            (early, whole) => assert_eq!(early, *whole, "at {length}"),
        }
    }
    let Ok(Some(found)) = whole else { return };
    check_hello(&found);
    let message = unwrapped(bytes);
    for cut in [1, message.len() / 2, message.len() - 1] {
        let again = [record(&message[..cut]), record(&message[cut..])].concat();
        assert_eq!(hello::read(&again), Ok(Some(found.clone())), "cut at {cut}");
    }
}

fn check_hello(hello: &Hello) {
    if let Some(host) = &hello.name {
        assert_normal(host);
        assert!(host.name().is_some());
    }
}

/// The handshake message inside of whole records.
fn unwrapped(bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut rest = bytes;
    while let [_, _, _, high, low, after @ ..] = rest {
        let length = usize::from(*high) << 8 | usize::from(*low);
        message.extend_from_slice(&after[..length.min(after.len())]);
        rest = &after[length.min(after.len())..];
        if let [1, high, middle, low, ..] = message[..] {
            let whole = 4 + (usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low));
            if message.len() >= whole {
                break;
            }
        }
    }
    message
}

fn record(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a record's length").to_be_bytes();
    [&[22, 3, 1], &length[..], content].concat()
}

/// What was once said of a beginning is never taken back.
fn sniff(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(4096)];
    for is_web in [false, true] {
        let whole = sniff::classify(bytes, is_web);
        for length in (0..bytes.len()).step_by(1 + bytes.len() / 256) {
            match (sniff::classify(&bytes[..length], is_web), &whole) {
                (None, _) | (Some(First::BadTls(_)), Some(First::BadTls(_))) => {}
                (early, whole) => assert_eq!(early, *whole, "at {length}"),
            }
        }
    }
}

/// Lengths that are asked for grow and are bounded; what is read is exactly as long as it said.
fn socks(bytes: &[u8]) {
    check_steps(bytes, socks::read_greeting);
    if let Some(target) = check_steps(bytes, socks::read_request) {
        assert_normal(&target.host);
        assert_ne!(target.port, 0);
    }
}

fn check_steps<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<Step<T>, socks::SocksError>) -> Option<T> {
    let mut length = 0;
    loop {
        match read(&bytes[..length]) {
            Ok(Step::Needs(needed)) => {
                assert!(needed > length && needed <= socks::MAX_BYTES, "{length} and then {needed}");
                if needed > bytes.len() {
                    return None;
                }
                length = needed;
            }
            Ok(Step::Done(value)) => return Some(value),
            Err(error) => {
                assert!(error.farewell().len() <= 10);
                return None;
            }
        }
    }
}

/// What is understood is written as it was understood; policies are taken whole or not at all.
fn control(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Request>(bytes) else { return };
    let text = serde_json::to_vec(&request).expect("a request can be written");
    assert_eq!(serde_json::from_slice::<Request>(&text).expect("and read"), request);
    if let Ask::Configure(configure) = &request.ask
        && let Ok(policy) = Compiled::new(&configure.policy)
    {
        for placed in &configure.policy.rules {
            let _ = rule_text(&placed.rule);
        }
        assert!(
            policy.ports().len()
                <= configure.policy.rules.iter().map(|placed| placed.rule.ports.as_ref().map_or(2, Vec::len)).sum()
        );
    }
}

/// Hosts and patterns have one form each, and a pattern of one host is about that host.
fn host(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(host) = Host::parse(text) {
        assert_normal(&host);
        if text.is_ascii() && !text.contains(':') {
            // Case and one dot at the end say nothing.
            assert_eq!(Host::parse(&text.to_ascii_uppercase()).as_ref(), Ok(&host));
            assert!(text.ends_with('.') || Host::parse(&format!("{text}.")).as_ref() == Ok(&host));
        }
        assert!(Pattern::Exact(host.clone()).matches(&host));
        assert!(Pattern::Any.matches(&host));
        if let Some(name) = host.name() {
            assert!(!Pattern::Below(name.to_owned()).matches(&host));
        }
    }
    if let Ok(pattern) = Pattern::parse(text) {
        assert_eq!(Pattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern), "{pattern}");
    }
    if let Ok(target) = Target::parse(text) {
        assert_eq!(Target::parse(&target.to_string()).as_ref(), Ok(&target), "{target}");
    }
}

/// The normal form of a path is its own, and has nothing left that a server would change.
fn paths(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(normal) = path::normal(text) else { return };
    assert_eq!(path::normal(&normal).as_deref(), Some(normal.as_str()));
    assert!(normal.starts_with('/') && normal.is_ascii(), "{normal:?}");
    let segments: Vec<&str> = normal.split('/').skip(1).collect();
    let before_last = &segments[..segments.len() - 1];
    assert!(before_last.iter().all(|segment| !segment.is_empty()), "{normal:?}");
    let forbidden: HashSet<&str> = [".", "..", "%2e", "%2E"].into();
    assert!(segments.iter().all(|segment| !forbidden.contains(segment)), "{normal:?}");
}
