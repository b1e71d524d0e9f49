//! The form for containers that have no second one beside them: the same gateway inside, with rules of the kernel that
//! let nobody but it out.
//!
//! A small process of root's sets the rules first, starts the gateway as a user of its own without any right, gives it the
//! policy, and stays to set the rules again when somebody took them away. It is weaker than a gateway outside: whoever
//! becomes root in the container, with the right to administer its network, is past it. It never says otherwise: the
//! label in its status is `inside`, and `off` when the kernel refused.

pub mod args;
pub mod child;
pub mod firewall;
pub mod policy;
mod rules;
pub mod status;
pub mod watch;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use args::Inside;
use child::Child;
use firewall::{Firewall, Six};
use status::Status;

use crate::addresses::Subnet;
use crate::netlink;

/// Where own addresses come from. Nobody else is on this network: it exists in the container only.
pub const SUBNET: &str = "198.18.0.0/22";
/// The first addresses of it, which are the gateway's.
const FIRST: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 28);
/// The gateway's main address.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// Where the rules turn connections to other addresses to, at the main address.
const REDIRECTED: u16 = 3129;
/// How often the rules are looked at when nothing tells of changes.
const OFTEN: Duration = Duration::from_secs(3);
/// How often they are looked at all the same.
const SELDOM: Duration = Duration::from_secs(30);
/// How long a gateway that ended is not started again at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// What makes the root process do something.
#[derive(Debug)]
pub enum Event {
    /// The kernel's rules may have changed.
    Rules,
    /// Nothing tells of changes to the rules any more.
    Unwatched,
    /// The policy's file may have changed.
    Policy,
    /// The gateway of this number has the policy of this revision, or does not take what it was given.
    Policed(u64, Result<u64, String>),
    /// The gateway told of something that it refused.
    Refused(String),
    /// The gateway ended, the one of this number.
    Ended(u64),
}

/// Reads the arguments after `inside` and does what they say; returns when the container has to go on without, otherwise
/// never.
#[must_use]
pub fn start(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    match args::read(arguments) {
        Ok(inside) => run(&inside),
        Err(reason) => {
            eprintln!("boxwood-gateway: {reason}\n{}", args::USAGE);
            ExitCode::from(2)
        }
    }
}

fn run(inside: &Inside) -> ExitCode {
    let mut status = Status::new(&inside.status);
    match enforce(inside, &mut status) {
        Ok(never) => match never {},
        Err(reason) => {
            status.set_rules(Some(reason.clone()));
            eprintln!(
                "boxwood-gateway: THE NETWORK IS OPEN: {reason}. The container needs the capability NET_ADMIN and the program \
                 nft, or iptables and ip6tables; add them and start it again."
            );
            ExitCode::from(inside.when_refused)
        }
    }
}

enum Never {}

fn enforce(inside: &Inside, status: &mut Status) -> Result<Never, String> {
    let mut firewall = Firewall::set()?;
    status.rules = Some(firewall.name());
    // Nothing leaves from here on: whatever fails now leaves the container without a network, not without a wall.
    let (events, happened) = mpsc::channel();
    let mut is_watched = firewall.monitor(&events);
    watch::file(&inside.policy, &events);
    status.set_rules(None);
    look_at_six(&firewall, status);
    let opened = prepare(inside, &mut firewall);
    if let Err(reason) = &opened {
        closed(status, reason);
    }
    // For a user whom the rules would not hold, nothing is let through at all.
    let again = opened.is_ok().then(Instant::now);
    let mut gateway = Gateway { child: None, number: 0, revision: 0, pause: PAUSES.0, started: Instant::now(), again };
    loop {
        gateway.start_when_due(inside, status, &events);
        let look = if is_watched { SELDOM } else { OFTEN };
        let due = gateway.again.map(|at| at.saturating_duration_since(Instant::now()));
        match happened.recv_timeout(due.map_or(look, |due| due.min(look))) {
            Ok(Event::Rules) | Err(RecvTimeoutError::Timeout) => keep(&mut firewall, status),
            Ok(Event::Unwatched) => is_watched = false,
            Ok(Event::Policy) => gateway.configure(inside, status),
            Ok(Event::Policed(number, policed)) => gateway.policed(number, policed, status),
            Ok(Event::Refused(text)) => eprintln!("boxwood-gateway: {text}"),
            Ok(Event::Ended(number)) => gateway.ended(number, status),
            // This loop holds a sender itself.
            Err(RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// Makes the gateway's place: its addresses first, so that nothing that is turned towards them can leave, then its way out.
fn prepare(inside: &Inside, firewall: &mut Firewall) -> Result<(), String> {
    let user = policy::user(&inside.user)?;
    user.warnings.iter().for_each(|warning| eprintln!("boxwood-gateway: {warning}"));
    policy::belongs_to_another(&inside.policy, &user)?;
    let mut blocks = SUBNET.parse::<Subnet>().map_err(|cause| cause.to_string())?.own_blocks();
    blocks.push(FIRST);
    netlink::add_local_routes(&blocks).map_err(|cause| format!("its addresses cannot be made: {cause}"))?;
    firewall.open()
}

/// Sets the rules again when they are not what they were.
fn keep(firewall: &mut Firewall, status: &mut Status) {
    match firewall.keep() {
        Ok(false) => {}
        Ok(true) => {
            status.set_again += 1;
            status.set_rules(None);
            eprintln!("boxwood-gateway: the rules were changed by somebody; they are set again");
        }
        Err(reason) => {
            eprintln!("boxwood-gateway: THE NETWORK MAY BE OPEN: {reason}");
            status.set_rules(Some(reason));
        }
    }
    look_at_six(firewall, status);
}

/// Tells how IPv6 is when that has changed: addresses of it may come later.
fn look_at_six(firewall: &Firewall, status: &mut Status) {
    let six = firewall.six();
    if !status.set_six(six.clone()) {
        return;
    }
    match six {
        Six::Held => eprintln!("boxwood-gateway: IPv6 is held as well"),
        Six::Unused(reason) => eprintln!(
            "boxwood-gateway: IPv4 is held; IPv6 has no rules ({reason}), and this container has no address of it"
        ),
        Six::Open(reason) => eprintln!(
            "boxwood-gateway: IPV6 IS OPEN, IPv4 is held: {reason}. Add ip6tables or nft to the image, or start the \
             container without IPv6."
        ),
    }
}

/// Tells that nothing gets out, and why.
fn closed(status: &mut Status, reason: &str) {
    let reason = format!("nothing is let through: {reason}");
    eprintln!("boxwood-gateway: {reason}");
    status.set_gateway(Some(reason));
}

/// The gateway process and when it is to be started again.
struct Gateway {
    child: Option<Child>,
    number: u64,
    revision: u64,
    pause: Duration,
    started: Instant,
    again: Option<Instant>,
}

impl Gateway {
    fn start_when_due(&mut self, inside: &Inside, status: &mut Status, events: &mpsc::Sender<Event>) {
        if self.again.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.again = None;
        self.number += 1;
        self.started = Instant::now();
        match Child::start(self.number, events.clone()) {
            Ok(child) => {
                self.child = Some(child);
                self.configure(inside, status);
            }
            Err(cause) => {
                closed(status, &format!("the gateway does not start: {cause}"));
                self.later();
            }
        }
    }

    /// Gives the gateway the policy as the file has it. A file that is wrong changes nothing.
    fn configure(&mut self, inside: &Inside, status: &mut Status) {
        let Some(child) = &mut self.child else { return };
        let read = policy::read(&inside.policy, self.revision + 1);
        match read.and_then(|configure| child.configure(configure).map_err(|cause| cause.to_string())) {
            Ok(()) => self.revision += 1,
            Err(reason) => Self::untaken(status, &reason),
        }
    }

    /// Takes in what became of a policy that was given.
    fn policed(&self, number: u64, policed: Result<u64, String>, status: &mut Status) {
        match policed {
            _ if number != self.number || self.child.is_none() => {}
            Ok(revision) => {
                status.revision = revision;
                status.set_gateway(None);
            }
            Err(reason) => Self::untaken(status, &reason),
        }
    }

    fn untaken(status: &mut Status, reason: &str) {
        if status.revision == 0 {
            return closed(status, reason);
        }
        let reason = format!("the policy before stays: {reason}");
        eprintln!("boxwood-gateway: {reason}");
        status.set_gateway(Some(reason));
    }

    fn ended(&mut self, number: u64, status: &mut Status) {
        if number == self.number && self.child.take().is_some() {
            // Another one knows nothing of it.
            status.revision = 0;
            closed(status, "the gateway ended; it is started again");
            if self.started.elapsed() > PAUSES.1 {
                self.pause = PAUSES.0;
            }
            self.later();
        }
    }

    fn later(&mut self) {
        self.again = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}
