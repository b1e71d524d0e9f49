//! Setting the kernel's rules and keeping them, with the programs that the container has for it.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;

use super::Event;
use super::rules::{self, NAMES, Reach, SOURCE};

/// Where programs are looked for. The environment is not asked: it is the image's.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// With which program the rules are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Nft,
    Tables,
}

/// How IPv6 is, of which nothing ever leaves when it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Six {
    /// By rules, or because the kernel has none.
    Held,
    /// By no rules, for this reason, and the container has no address of it.
    Unused(String),
    /// By no rules, for this reason.
    Open(String),
}

/// Rules that are set, and how they look when nobody touched them.
#[derive(Debug)]
pub struct Firewall {
    form: Form,
    reach: Reach,
    expected: String,
    /// Why IPv6 has no rules.
    without_six: Option<String>,
}

impl Firewall {
    /// Sets rules that let nobody out, with `nft` or else the older programs.
    ///
    /// # Errors
    /// In plain words, when no program is there or the kernel refuses.
    pub fn set() -> Result<Self, String> {
        let mut reasons = Vec::new();
        for form in [Form::Nft, Form::Tables] {
            let mut firewall = Self { form, reach: Reach::Nobody, expected: String::new(), without_six: None };
            match firewall.apply() {
                Ok(()) => return Ok(firewall),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("the kernel's rules cannot be set ({})", reasons.join("; ")))
    }

    /// Lets the gateway out, and turns towards it what others send.
    ///
    /// # Errors
    /// When it cannot be done. Then nobody is let out.
    pub fn open(&mut self) -> Result<(), String> {
        self.reach = Reach::Gateway;
        self.apply().or_else(|reason| {
            self.reach = Reach::Nobody;
            self.apply().map_err(|again| format!("{reason}; {again}"))?;
            Err(reason)
        })
    }

    /// What sets them.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.form {
            Form::Nft => "nftables",
            Form::Tables => "iptables",
        }
    }

    /// How IPv6 is now.
    #[must_use]
    pub fn six(&self) -> Six {
        let addresses = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        six(self.without_six.as_deref(), &addresses)
    }

    /// Sets the rules again when they are not as they were. True when that was so.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn keep(&mut self) -> Result<bool, String> {
        if self.look().is_ok_and(|now| now == self.expected) {
            return Ok(false);
        }
        self.apply()?;
        Ok(true)
    }

    fn apply(&mut self) -> Result<(), String> {
        match self.form {
            Form::Nft => feed("nft", &["-f", "-"], &rules::nft(self.reach))?,
            Form::Tables => {
                feed("iptables-restore", &[], &rules::filter(4, self.reach))?;
                // Without it IPv4 is held all the same.
                self.without_six = match Path::new("/proc/sys/net/ipv6").exists() {
                    true => feed("ip6tables-restore", &[], &rules::filter(6, self.reach)).err(),
                    false => None,
                };
                for (hook, chain) in [("OUTPUT", NAMES), ("POSTROUTING", SOURCE)] {
                    // As many as there are: whoever put them there once more is undone as well.
                    while feed("iptables", &["-w", "-t", "nat", "-D", hook, "-j", chain], "").is_ok() {}
                }
                if self.reach == Reach::Gateway {
                    feed("iptables-restore", &["--noflush"], &rules::turning())?;
                }
            }
        }
        self.expected = self.look()?;
        Ok(())
    }

    fn look(&self) -> Result<String, String> {
        let mut text = String::new();
        match self.form {
            Form::Nft => {
                text += &ask("nft", &["list", "table", "inet", "boxwood"])?;
                if self.reach == Reach::Gateway {
                    text += &ask("nft", &["list", "table", "ip", "boxwood_names"])?;
                }
            }
            Form::Tables => {
                text += &ask("iptables", &["-w", "-S"])?;
                if self.reach == Reach::Gateway {
                    for chain in ["OUTPUT", "POSTROUTING", NAMES, SOURCE] {
                        text += &ask("iptables", &["-w", "-t", "nat", "-S", chain])?;
                    }
                }
                if self.without_six.is_none() && Path::new("/proc/sys/net/ipv6").exists() {
                    text += &ask("ip6tables", &["-w", "-S"])?;
                }
            }
        }
        Ok(text)
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

/// What IPv6 is without rules for this reason, in a container with these addresses of it, as proc(5) lists them.
fn six(without: Option<&str>, addresses: &str) -> Six {
    let is_used = addresses.lines().any(|line| !line.ends_with(" lo"));
    match without {
        None => Six::Held,
        Some(reason) if is_used => Six::Open(reason.to_owned()),
        Some(reason) => Six::Unused(reason.to_owned()),
    }
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
    fn ipv6_without_rules_is_open_where_it_has_an_address() {
        let lo = "00000000000000000000000000000001 01 80 10 80       lo\n";
        let eth = "fe800000000000000042acfffe110002 02 40 20 80     eth0\n";
        let reason = || "there is no ip6tables-restore".to_owned();
        for (without, addresses, expected) in [
            (None, format!("{lo}{eth}"), Six::Held),
            (Some(reason()), format!("{lo}{eth}"), Six::Open(reason())),
            (Some(reason()), lo.to_owned(), Six::Unused(reason())),
            (Some(reason()), String::new(), Six::Unused(reason())),
        ] {
            assert_eq!(six(without.as_deref(), &addresses), expected);
        }
    }
}
