//! Everything that a test calls the internet, in one container: web servers with certificates, repositories, sockets that
//! echo. It notes on its standard output what reaches it, down to single packets.
//!
//! `internet authority` makes the authority that its certificates are from; `internet serve FILE` serves.

mod config;
mod endpoints;
mod git;
mod http;
mod ports;
mod record;
mod tls;
mod watch;
mod websocket;

pub(crate) use endpoints::microseconds;

use std::io::{Error, Write as _};
use std::process::ExitCode;

/// Does what it is told.
pub(super) fn main(words: &[&str]) -> ExitCode {
    match run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            let _ = writeln!(std::io::stderr(), "internet: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> std::io::Result<()> {
    match words {
        ["authority"] => writeln!(std::io::stdout(), "{}", tls::new_authority().map_err(Error::other)?),
        ["serve", file] => {
            let config = serde_json::from_slice(&std::fs::read(file)?)?;
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ports::serve(config))
        }
        _ => Err(Error::other("usage: internet authority | internet serve FILE")),
    }
}
