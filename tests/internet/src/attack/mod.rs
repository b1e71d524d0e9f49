//! What somebody who wants out of a sandbox brings along. It exits with 0 when an attempt got an answer, with 1 when it was
//! refused, got none or may not be made, and with 99 when it was called wrongly.
//!
//! - `talk ADDRESS:PORT STEP…`: a conversation, see [`talk`];
//! - `dns SERVER NAME TYPE [tcp]`: a question, answered with records;
//! - `own NAME`: the address that the sandbox's resolver gives a name;
//! - `udp ADDRESS PORT BYTES`, `ping ADDRESS`, `raw ADDRESS`, `packet`: what is not TCP;
//! - `address ADDRESS`, `route ADDRESS`: changes to the network;
//! - `sweep FIRST LAST PORT BYTES EXPECTED`: the same conversation with every address;
//! - `listen PORT`: gives back what it gets, for ever;
//! - `crowd ADDRESS:PORT NAME COUNT AUTHORITY`: so many connections that stay open, see [`crowd`];
//! - `stream ADDRESS:PORT NAME COUNT AUTHORITY`: requests one after the other and a stream of events, see [`stream`].

mod bytes;
mod crowd;
mod dns;
mod hello;
mod network;
mod stream;
mod talk;

use std::io::Write as _;
use std::process::ExitCode;

/// Status of a call that is none.
const CALLED_WRONGLY: u8 = 99;

/// Makes the attempt.
pub(super) fn main(words: &[&str]) -> ExitCode {
    let done = match words {
        ["talk", to, steps @ ..] => talk::talk(to, steps),
        ["dns", server, name, kind] => dns::ask(server, name, kind, false),
        ["dns", server, name, kind, "tcp"] => dns::ask(server, name, kind, true),
        ["own", name] => dns::own(name),
        ["udp", address, port, text] => network::udp(address, port, &bytes::unescaped(text)),
        ["ping", address] => network::ping(address),
        ["raw", address] => network::raw(address),
        ["packet"] => network::packet(),
        ["address", address] => network::add_address(address),
        ["route", address] => network::add_route(address),
        ["sweep", first, last, port, text, expected] => talk::sweep(first, last, port, text, expected),
        ["listen", port] => network::listen(port),
        ["crowd", to, name, count, authority] => crowd::hold(to, name, count, authority),
        ["stream", to, name, count, authority] => stream::listen(to, name, count, authority),
        _ => {
            let _ = writeln!(std::io::stderr(), "attack: it is not called like that: {words:?}");
            return CALLED_WRONGLY.into();
        }
    };
    match done {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(cause) => {
            let _ = writeln!(std::io::stderr(), "attack: {cause}");
            ExitCode::FAILURE
        }
    }
}
