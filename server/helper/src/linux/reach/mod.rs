//! `reach`: is the network what it must be, seen from inside? One JSON line, exit 0 or 1.
//!
//! What must not be reachable is tried, all at once and each for a moment; so is what must be. An address that answers
//! with a refusal is reachable too.

mod attempt;
mod dns;
mod routes;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::linux::error::Error;
use attempt::{Outcome, Try, all_at_once};

/// How long what must not answer is waited for. Whoever is on a network of this container answers within a millisecond or
/// two; farther away is only what a route leads to, and routes are looked at by themselves.
const CLOSED_WITHIN: Duration = Duration::from_millis(120);
/// How long what must answer is waited for; it ends with the answer, so only a gateway in trouble takes this long.
const OPEN_WITHIN: Duration = Duration::from_millis(1500);

/// Addresses outside that always answer somebody who can reach them: name servers of the public, over TCP.
const PUBLIC: [(&str, u16); 5] =
    [("1.1.1.1", 443), ("8.8.8.8", 443), ("9.9.9.9", 443), ("1.1.1.1", 53), ("8.8.8.8", 53)];
/// Where clouds tell a machine its secrets.
const METADATA: [(&str, u16); 2] = [("169.254.169.254", 80), ("169.254.170.2", 80)];
/// Addresses of this machine and of others on usual private networks.
const PRIVATE: [&str; 7] =
    ["172.17.0.1", "172.18.0.1", "172.19.0.1", "10.0.0.1", "192.168.0.1", "192.168.1.1", "192.168.65.254"];
/// Ports that somebody on those would listen on, or refuse at once.
const PORTS: [u16; 4] = [22, 80, 443, 2375];
const PUBLIC_V6: [&str; 2] = ["2606:4700:4700::1111", "2001:4860:4860::8888"];
/// How many of a kind are told one by one.
const TOLD: usize = 3;
const MORE: &str = ", and more";

/// Name servers that are not the gateway; the second one is the engine's own.
const RESOLVERS: [&str; 4] = ["8.8.8.8", "127.0.0.11", "1.1.1.1", "172.17.0.1"];

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    gateway: Ipv4Addr,
    /// First address of the subnet behind its number: the host's, when the host has one there.
    host: Ipv4Addr,
    name: String,
}

/// The answer, as printed.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether everything that must be closed is.
    closed: bool,
    /// Whether the gateway answers.
    open: bool,
    checks: Vec<Check>,
}

/// One check's outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    name: &'static str,
    /// Whether it had to be unreachable.
    must_fail: bool,
    ok: bool,
    detail: String,
}

pub(crate) fn run(args: Vec<OsString>) -> Result<ExitCode, Error> {
    let request = parse(args)?;
    let report = look(&request);
    let text = serde_json::to_string(&report).map_err(|error| Error::system("write the report", error))?;
    println!("{text}");
    Ok(if report.closed && report.open { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look(request: &Request) -> Report {
    let mut checks = tries(request);
    // Afterwards, because by then the kernel has looked for whoever is behind a route.
    checks.extend(tables());
    Report {
        closed: checks.iter().all(|check| check.ok || !check.must_fail),
        open: checks.iter().all(|check| check.ok || check.must_fail),
        checks,
    }
}

/// What the kernel's tables say: whether there is a way out at all.
fn tables() -> Vec<Check> {
    let table = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let closed = |name, found: Vec<String>| match found.is_empty() {
        true => Check { name, must_fail: true, ok: true, detail: "none".to_owned() },
        false => Check { name, must_fail: true, ok: false, detail: found.join(", ") },
    };
    vec![
        closed("default-route", routes::defaults_v4(&table("/proc/net/route"), &table("/proc/net/arp"))),
        closed("default-route-ipv6", routes::defaults_v6(&table("/proc/net/ipv6_route"))),
    ]
}

fn tries(request: &Request) -> Vec<Check> {
    let mut plan: Vec<(&'static str, Try)> = Vec::new();
    let address = |text: &str| text.parse::<IpAddr>().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut tcp = |name, ip: IpAddr, port| plan.push((name, Try::connect(SocketAddr::new(ip, port), CLOSED_WITHIN)));
    for (ip, port) in PUBLIC {
        tcp("public", address(ip), port);
    }
    for (ip, port) in METADATA {
        tcp("metadata", address(ip), port);
    }
    for port in PORTS {
        tcp("host", IpAddr::V4(request.host), port);
        for ip in PRIVATE {
            tcp("private", address(ip), port);
        }
    }
    for ip in PUBLIC_V6 {
        tcp("ipv6", address(ip), 443);
    }
    // Every name server knows the root, and the gateway says nothing about it: an answer came from elsewhere.
    let root = dns::question("", dns::NS);
    for ip in RESOLVERS {
        let to = SocketAddr::new(address(ip), 53);
        plan.push(("resolver", Try::datagram(to, root.clone(), CLOSED_WITHIN)));
        plan.push(("resolver", Try::exchange(to, dns::framed(&root), CLOSED_WITHIN)));
    }
    plan.push(("resolver", Try::datagram(SocketAddr::new(IpAddr::V4(request.host), 53), root, CLOSED_WITHIN)));

    let gateway = SocketAddr::new(IpAddr::V4(request.gateway), 53);
    let question = dns::question(&request.name, dns::A);
    let asks = plan.len();
    plan.push(("gateway-names", Try::datagram(gateway, question.clone(), OPEN_WITHIN)));
    plan.push(("gateway-names-tcp", Try::exchange(gateway, dns::framed(&question), OPEN_WITHIN)));
    plan.push(("gateway", Try::connect(SocketAddr::new(IpAddr::V4(request.gateway), 443), OPEN_WITHIN)));

    let outcomes = all_at_once(plan.iter().map(|(_, attempt)| attempt));
    let mut checks: Vec<Check> = Vec::new();
    for (at, ((name, attempt), outcome)) in plan.iter().zip(outcomes).enumerate() {
        if at >= asks {
            checks.push(opened(name, attempt, &outcome, request.gateway));
        } else {
            closed(&mut checks, name, leak(attempt, &outcome));
        }
    }
    checks
}

/// Adds an attempt that had to fail to the check of its kind.
fn closed(checks: &mut Vec<Check>, name: &'static str, leak: Option<String>) {
    let at = checks.iter().position(|check| check.name == name).unwrap_or_else(|| {
        checks.push(Check { name, must_fail: true, ok: true, detail: "unreachable".to_owned() });
        checks.len() - 1
    });
    let Some(leak) = leak else { return };
    let check = &mut checks[at];
    match check.detail.split(", ").count() {
        _ if check.ok => check.detail = leak,
        ..TOLD => check.detail.push_str(&format!(", {leak}")),
        _ if check.detail.ends_with(MORE) => {}
        _ => check.detail.push_str(MORE),
    }
    check.ok = false;
}

/// What was reached although it must not be.
fn leak(attempt: &Try, outcome: &Outcome) -> Option<String> {
    let to = attempt.to();
    match outcome {
        Outcome::Connected => Some(format!("{to} can be connected to")),
        Outcome::Refused => Some(format!("{to} answers with a refusal")),
        Outcome::Answered(answer) if !to.ip().is_loopback() => {
            Some(format!("{to} answers with {} bytes", answer.len()))
        }
        // The engine's own resolver is in here with us; what counts is whether it knows anything from outside.
        Outcome::Answered(answer) => dns::knows(answer, attempt.is_stream()).then(|| format!("{to} knows names")),
        Outcome::Nothing(_) => None,
    }
}

/// Whether the gateway did what it must.
fn opened(name: &'static str, attempt: &Try, outcome: &Outcome, gateway: Ipv4Addr) -> Check {
    let to = attempt.to();
    let (ok, detail) = match outcome {
        Outcome::Connected => (true, format!("{to} can be connected to")),
        Outcome::Answered(answer) => match dns::addresses(answer, attempt.is_stream()) {
            Ok(found) if found == [gateway] => (true, format!("{to} answers")),
            Ok(found) => (false, format!("{to} answers with {found:?} instead of itself")),
            Err(why) => (false, format!("{to}: {why}")),
        },
        Outcome::Refused => (false, format!("{to} refuses")),
        Outcome::Nothing(why) => (false, format!("{to}: {why}")),
    };
    Check { name, must_fail: false, ok, detail }
}

fn parse(args: Vec<OsString>) -> Result<Request, Error> {
    let (mut gateway, mut host, mut name) = (None, None, None);
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut value = || {
            let value = args.next().and_then(|value| value.into_string().ok());
            value.ok_or_else(|| Error::Usage(format!("{} needs a value", arg.display())))
        };
        match arg.to_str() {
            Some("--gateway") => gateway = Some(ip(&value()?)?),
            Some("--subnet") => host = Some(first(&value()?)?),
            Some("--name") => name = Some(value()?),
            _ => return Err(Error::Usage(format!("reach does not know '{}'", arg.display()))),
        }
    }
    match (gateway, host, name) {
        (Some(gateway), Some(host), Some(name)) => Ok(Request { gateway, host, name }),
        _ => Err(Error::Usage("reach needs --gateway ADDRESS --subnet BLOCK --name NAME".to_owned())),
    }
}

fn ip(text: &str) -> Result<Ipv4Addr, Error> {
    text.parse().map_err(|_| Error::Usage(format!("'{text}' is not an IPv4 address")))
}

/// The first address of a block.
fn first(block: &str) -> Result<Ipv4Addr, Error> {
    let number = block.split_once('/').map(|(number, _)| number);
    let number = number.ok_or_else(|| Error::Usage(format!("'{block}' is not a block of addresses")))?;
    Ok(Ipv4Addr::from(u32::from(ip(number)?).saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let words = |text: &str| text.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        let request =
            parse(words("--gateway 198.18.4.2 --subnet 198.18.4.0/22 --name probe.example")).expect("request");
        assert_eq!((request.gateway, request.host), (Ipv4Addr::new(198, 18, 4, 2), Ipv4Addr::new(198, 18, 4, 1)));
        for wrong in ["", "--gateway", "--gateway x --subnet 1.2.3.0/24 --name a", "--gateway 1.2.3.4 --subnet 1"] {
            assert!(matches!(parse(words(wrong)), Err(Error::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn what_can_be_reached_is_told_once_per_kind() {
        let to: SocketAddr = "192.0.2.1:80".parse().expect("an address");
        let attempt = Try::connect(to, CLOSED_WITHIN);
        assert!(leak(&attempt, &Outcome::Connected).is_some());
        assert!(leak(&attempt, &Outcome::Refused).is_some_and(|text| text.contains("192.0.2.1:80")));
        assert!(leak(&attempt, &Outcome::Nothing("no route".to_owned())).is_none());
        let mut checks = Vec::new();
        let expected = ["unreachable", "a", "a", "a, b", "a, b, c", "a, b, c, and more", "a, b, c, and more"];
        for (found, expected) in ["", "a", "", "b", "c", "d", "e"].into_iter().zip(expected) {
            closed(&mut checks, "public", (!found.is_empty()).then(|| found.to_owned()));
            assert_eq!((checks.len(), checks[0].detail.as_str()), (1, expected));
        }
        assert!(!checks[0].ok && checks[0].must_fail);
    }
}
