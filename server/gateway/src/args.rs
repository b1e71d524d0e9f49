//! The command line.

use std::net::Ipv4Addr;

use crate::addresses::Subnet;
use crate::state::Place;

/// How to call the program.
pub const USAGE: &str = "\
usage: boxwood-gateway run --subnet BLOCK --address ADDRESS [--redirected PORT]

  --subnet      the sandbox's network, for example 198.18.4.0/22
  --address     the gateway's address in it, for example 198.18.4.2
  --redirected  port to which the kernel's rules send connections to all other addresses

It takes its policy on standard input and refuses everything until it has one.";

/// What the program is to do.
#[derive(Debug, Clone, Copy)]
pub enum Command {
    /// Be a gateway.
    Run(Place),
    /// Say how it is called.
    Help,
    /// Say which version it is.
    Version,
}

/// Why the command line cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// Neither `run` nor a question.
    #[error("the command is 'run'")]
    Command,
    /// Something else.
    #[error("'{0}' is not an option")]
    Unknown(String),
    /// An option without what it says, or with something else.
    #[error("{0} needs a value: {1}")]
    Value(&'static str, &'static str),
    /// The address is not one for a gateway.
    #[error("the address must be one of the first 15 in the subnet")]
    Place,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// When they cannot be understood.
pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Command, ArgsError> {
    let mut arguments = arguments.into_iter();
    match arguments.next().as_deref() {
        Some("run") => {}
        Some("--help" | "-h" | "help") => return Ok(Command::Help),
        Some("--version" | "-V") => return Ok(Command::Version),
        _ => return Err(ArgsError::Command),
    }
    let (mut subnet, mut address, mut redirected) = (None, None, None);
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--subnet" => subnet = arguments.next().and_then(|text| text.parse::<Subnet>().ok()),
            "--address" => address = arguments.next().and_then(|text| text.parse::<Ipv4Addr>().ok()),
            "--redirected" => match arguments.next().and_then(|text| text.parse().ok()) {
                None | Some(0) => return Err(ArgsError::Value("--redirected", "a port")),
                port => redirected = port,
            },
            _ => return Err(ArgsError::Unknown(option)),
        }
    }
    let subnet = subnet.ok_or(ArgsError::Value("--subnet", "a block such as 198.18.4.0/22"))?;
    let address = address.ok_or(ArgsError::Value("--address", "an IPv4 address"))?;
    let is_reserved = subnet.contains(address) && !subnet.is_own(address) && !address.is_broadcast();
    if is_reserved { Ok(Command::Run(Place { subnet, address, redirected })) } else { Err(ArgsError::Place) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Command, ArgsError> {
        read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_gateway_needs_its_place() {
        let Ok(Command::Run(place)) = check("run --subnet 198.18.4.0/22 --address 198.18.4.2") else {
            panic!("a place")
        };
        assert_eq!((place.address, place.redirected), (Ipv4Addr::new(198, 18, 4, 2), None));
        let Ok(Command::Run(place)) = check("run --redirected 3129 --subnet 198.18.4.0/22 --address 198.18.4.2") else {
            panic!("a place")
        };
        assert_eq!(place.redirected, Some(3129));
        for (line, expected) in [
            ("", ArgsError::Command),
            ("walk", ArgsError::Command),
            ("run --address 198.18.4.2", ArgsError::Value("--subnet", "a block such as 198.18.4.0/22")),
            ("run --subnet 198.18.4.0/22", ArgsError::Value("--address", "an IPv4 address")),
            ("run --subnet 198.18.4.0/22 --address 198.18.4.99", ArgsError::Place),
            ("run --subnet 198.18.4.0/22 --address 10.0.0.1", ArgsError::Place),
            ("run --redirected 0", ArgsError::Value("--redirected", "a port")),
            ("run --redirected 65536", ArgsError::Value("--redirected", "a port")),
            ("run --port 1", ArgsError::Unknown("--port".into())),
        ] {
            assert_eq!(check(line).map(|_| ()), Err(expected), "{line}");
        }
    }
}
