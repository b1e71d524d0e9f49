//! The kernel's rules: only the gateway's user gets out, by IPv4; questions for names go to the gateway whomever they were
//! sent to; everything else stays in the container.
//!
//! What is open already gets nothing out either, so that a moment without rules leaves no connection behind. The engine's
//! own resolver in the container is closed to everybody else: it would carry anything out in a question.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;

use super::{ADDRESS, Event, SUBNET};
use crate::privileges::ID;

/// Where programs are looked for. The environment is not asked: it is the image's.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";
/// The resolver that engines put into containers.
const ENGINE_RESOLVER: &str = "127.0.0.11";
/// Chains of the old form, in the table for addresses.
const NAMES: &str = "BOXWOOD_NAMES";
const SOURCE: &str = "BOXWOOD_SOURCE";

/// With which program the rules are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Nft,
    Tables { has_ipv6: bool },
}

/// Rules that are set, and how they look when nobody touched them.
#[derive(Debug)]
pub struct Firewall {
    form: Form,
    expected: String,
}

impl Firewall {
    /// Sets the rules, with `nft` or else the older programs.
    ///
    /// # Errors
    /// In plain words, when no program is there or the kernel refuses.
    pub fn set() -> Result<Self, String> {
        let has_ipv6 = Path::new("/proc/sys/net/ipv6").exists();
        let mut reasons = Vec::new();
        for form in [Form::Nft, Form::Tables { has_ipv6 }] {
            match form.apply().and_then(|()| form.look()) {
                Ok(expected) => return Ok(Self { form, expected }),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("the kernel's rules cannot be set ({})", reasons.join("; ")))
    }

    /// What sets them.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.form {
            Form::Nft => "nftables",
            Form::Tables { .. } => "iptables",
        }
    }

    /// Sets the rules again when they are not as they were. True when that was so.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn keep(&mut self) -> Result<bool, String> {
        if self.form.look().is_ok_and(|now| now == self.expected) {
            return Ok(false);
        }
        self.form.apply()?;
        self.expected = self.form.look()?;
        Ok(true)
    }

    /// Has changes told, where the kernel's own notices can be read. False when nothing will tell.
    pub fn monitor(&self, events: &Sender<Event>) -> bool {
        if self.form != Form::Nft {
            return false;
        }
        let (mut command, events) = (program("nft"), events.clone());
        let Ok(mut monitor) = command.arg("monitor").stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
            return false;
        };
        let Some(output) = monitor.stdout.take() else { return false };
        let thread = std::thread::Builder::new().name("rules".to_owned()).spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // Each change is several lines; only that there was one matters.
            while matches!((&mut output).take(64 * 1024).read_until(b'\n', &mut line), Ok(1..)) {
                line.clear();
                if events.send(Event::Rules).is_err() {
                    break;
                }
            }
            let _ = monitor.kill();
            let _ = monitor.wait();
            let _ = events.send(Event::Unwatched);
        });
        thread.is_ok()
    }
}

impl Form {
    fn apply(self) -> Result<(), String> {
        match self {
            Self::Nft => feed("nft", &["-f", "-"], &nft_rules()),
            Self::Tables { has_ipv6 } => {
                feed("iptables-restore", &[], &filter_rules(4))?;
                if has_ipv6 {
                    feed("ip6tables-restore", &[], &filter_rules(6))?;
                }
                for (hook, chain) in [("OUTPUT", NAMES), ("POSTROUTING", SOURCE)] {
                    // As many as there are: whoever put them there once more is undone as well.
                    while feed("iptables", &["-w", "-t", "nat", "-D", hook, "-j", chain], "").is_ok() {}
                }
                feed("iptables-restore", &["--noflush"], &name_rules())
            }
        }
    }

    fn look(self) -> Result<String, String> {
        match self {
            Self::Nft => Ok(ask("nft", &["list", "table", "inet", "boxwood"])?
                + &ask("nft", &["list", "table", "ip", "boxwood_names"])?),
            Self::Tables { has_ipv6 } => {
                let mut text = ask("iptables", &["-w", "-S"])?;
                for chain in ["OUTPUT", "POSTROUTING", NAMES, SOURCE] {
                    text += &ask("iptables", &["-w", "-t", "nat", "-S", chain])?;
                }
                if has_ipv6 {
                    text += &ask("ip6tables", &["-w", "-S"])?;
                }
                Ok(text)
            }
        }
    }
}

/// A question that was turned towards the gateway is still seen with the interface that it was sent to, so it has rules
/// of its own beside those for the container's own interface. All or nothing: the kernel takes the whole text at once, also over what is there.
fn nft_rules() -> String {
    format!(
        "add table inet boxwood
delete table inet boxwood
table inet boxwood {{
  chain output {{
    type filter hook output priority 0; policy drop;
    meta skuid != {ID} ip daddr {ENGINE_RESOLVER} drop
    oifname \"lo\" accept
    ip daddr {ADDRESS} udp dport 53 accept
    ip daddr {ADDRESS} tcp dport 53 accept
    meta nfproto ipv4 meta skuid {ID} accept
    meta nfproto ipv4 meta l4proto tcp reject with tcp reset
  }}
  chain input {{
    type filter hook input priority 0; policy drop;
    iifname \"lo\" accept
    meta nfproto ipv4 ct state established,related accept
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
  }}
}}
add table ip boxwood_names
delete table ip boxwood_names
table ip boxwood_names {{
  chain output {{
    type nat hook output priority -110; policy accept;
    meta skuid != {ID} udp dport 53 dnat to {ADDRESS}
    meta skuid != {ID} tcp dport 53 dnat to {ADDRESS}
  }}
  chain postrouting {{
    type nat hook postrouting priority 90; policy accept;
    oifname \"lo\" ip daddr {ADDRESS} ip saddr != {SUBNET} snat to {ADDRESS}
  }}
}}
"
    )
}

/// The same in the older form. Nothing else has rules in a container's own table.
fn filter_rules(version: u8) -> String {
    let mut text =
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n".to_owned();
    if version == 4 {
        text += &format!(
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A OUTPUT -d {ENGINE_RESOLVER}/32 -m owner ! --uid-owner {ID} -j DROP
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -d {ADDRESS}/32 -p udp -m udp --dport 53 -j ACCEPT
-A OUTPUT -d {ADDRESS}/32 -p tcp -m tcp --dport 53 -j ACCEPT
-A OUTPUT -m owner --uid-owner {ID} -j ACCEPT
-A OUTPUT -p tcp -j REJECT --reject-with tcp-reset
"
        );
    } else {
        text += "-A OUTPUT -o lo -j ACCEPT\n";
    }
    text + "COMMIT\n"
}

/// Questions seem to come from the gateway's own address, because the answer has to leave from there: to any other address
/// of the container the kernel would answer from that one. The engine may have rules of its own in this table; they stay, behind these.
fn name_rules() -> String {
    format!(
        "*nat
:{NAMES} - [0:0]
:{SOURCE} - [0:0]
-A {NAMES} -p udp -m udp --dport 53 -m owner ! --uid-owner {ID} -j DNAT --to-destination {ADDRESS}
-A {NAMES} -p tcp -m tcp --dport 53 -m owner ! --uid-owner {ID} -j DNAT --to-destination {ADDRESS}
-A {SOURCE} ! -s {SUBNET} -d {ADDRESS}/32 -o lo -j SNAT --to-source {ADDRESS}
-I OUTPUT 1 -j {NAMES}
-I POSTROUTING 1 -j {SOURCE}
COMMIT
"
    )
}

fn program(name: &str) -> Command {
    let mut command = Command::new(
        PATH.split(':')
            .map(|directory| Path::new(directory).join(name))
            .find(|path| path.is_file())
            .unwrap_or_default(),
    );
    command.env_clear().env("PATH", PATH).current_dir("/").stdin(Stdio::null());
    command
}

/// Runs a program with a text on its standard input.
fn feed(name: &str, arguments: &[&str], text: &str) -> Result<(), String> {
    let run = || -> io::Result<_> {
        let command = &mut program(name);
        let mut process =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut input) = process.stdin.take() {
            // One that ends without reading says why on its standard error.
            let _ = input.write_all(text.as_bytes());
        }
        process.wait_with_output()
    };
    done(name, run()).map(drop)
}

/// Runs a program and gives what it says.
fn ask(name: &str, arguments: &[&str]) -> Result<String, String> {
    let output = done(name, program(name).args(arguments).output())?;
    String::from_utf8(output.stdout).map_err(|_| format!("{name} says something that is no text"))
}

fn done(name: &str, output: io::Result<std::process::Output>) -> Result<std::process::Output, String> {
    let output = output.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => format!("there is no {name}"),
        _ => format!("{name}: {cause}"),
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}", said.lines().next().unwrap_or("it failed").trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_drop_by_default_and_let_only_the_gateway_out() {
        let nft = nft_rules();
        assert_eq!(nft.matches("policy drop").count(), 3);
        assert_eq!(nft.matches(&format!("meta skuid {ID} accept")).count(), 1);
        assert!(
            !nft.split("chain input").next().expect("the output's").contains("ct state"),
            "nothing open stays open"
        );
        for version in [4, 6] {
            let rules = filter_rules(version);
            assert_eq!(rules.matches("DROP [0:0]").count(), 3);
            assert!(rules.ends_with("COMMIT\n"));
        }
        assert!(!filter_rules(6).contains("owner"), "by IPv6 nobody gets out");
        // The engine's resolver is closed before the container's own network is opened.
        for (rules, opening) in [(nft, "oifname \"lo\" accept"), (filter_rules(4), "-o lo -j ACCEPT")] {
            assert!(rules.find(ENGINE_RESOLVER) < rules.find(opening), "{rules}");
        }
        let names = name_rules();
        assert_eq!(names.matches("-I ").count(), 2);
    }
}
