//! Hosts as everything here compares them: a name in its one normal form, or an address.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use super::address::{ends_in_number, inet_aton};

/// Longest name that is looked at; international names are longer before they are written in ASCII.
const MAX_TEXT: usize = 1024;
/// Longest name in DNS, without the dot at the end.
const MAX_NAME: usize = 253;
/// Longest part of a name in DNS.
const MAX_LABEL: usize = 63;

/// A host in its normal form. Two spellings that lead to the same place are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name: ASCII, lower case, without the dot at the end, international parts in punycode.
    Name(String),
    /// An address; IPv4 that was written as IPv6 is IPv4.
    Address(IpAddr),
}

/// Why a text is no host. Reads after "'…' is not a host:".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// Longer than DNS allows.
    #[error("a name has at most 253 characters, and 63 between two dots")]
    Long,
    /// Two dots in a row, or one in front.
    #[error("there is nothing between two of its dots")]
    EmptyLabel,
    /// A character that names do not have.
    #[error("{0:?} cannot stand in a name")]
    Character(char),
    /// A part starts or ends with a hyphen.
    #[error("no part of a name starts or ends with a hyphen")]
    Hyphen,
    /// An underscore in the last part.
    #[error("the last part of a name has no underscore")]
    Underscore,
    /// Ends in a number and is no address.
    #[error("it ends in a number, but it is not an IPv4 address")]
    Number,
    /// Has a colon or brackets and is no IPv6 address.
    #[error("only an IPv6 address has colons or brackets, and this is none")]
    Colon,
    /// An IPv6 address with a zone.
    #[error("an address cannot name a network interface")]
    Zone,
    /// Not a valid international name.
    #[error("it is not a valid international name")]
    International,
}

impl Host {
    /// Reads a name or an address in any spelling that a client may use.
    ///
    /// # Errors
    /// When it is neither. Nothing is repaired: what a resolver might read in two ways is refused.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(HostError::Long);
        }
        if let Some(inner) = text.strip_prefix('[') {
            return six(inner.strip_suffix(']').ok_or(HostError::Colon)?);
        }
        if text.contains(':') {
            return six(text);
        }
        let name = ascii(text)?;
        let name = name.strip_suffix('.').unwrap_or(&name);
        check(name)?;
        if ends_in_number(name) {
            return inet_aton(name).map(|four| Self::Address(IpAddr::V4(four))).ok_or(HostError::Number);
        }
        check_top(name)?;
        Ok(Self::Name(name.to_owned()))
    }

    /// The host of an address.
    #[must_use]
    pub const fn of_address(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }

    /// The name, when it is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// The address, when it is one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(*address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

impl core::str::FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

fn six(text: &str) -> Result<Host, HostError> {
    if text.contains('%') {
        return Err(HostError::Zone);
    }
    text.parse::<Ipv6Addr>().map(|six| Host::of_address(IpAddr::V6(six))).map_err(|_| HostError::Colon)
}

/// The name in lower-case ASCII. Punycode that came as such is checked as well: it must be what the name would be
/// written as.
fn ascii(text: &str) -> Result<String, HostError> {
    let lower = text.to_ascii_lowercase();
    if lower.is_ascii() && !lower.contains("xn--") {
        return Ok(lower);
    }
    if let Some(bad) = lower.chars().find(|c| c.is_ascii() && !is_name_character(*c)) {
        return Err(HostError::Character(bad));
    }
    idna::domain_to_ascii_cow(lower.as_bytes(), idna::AsciiDenyList::URL)
        .map(|name| name.into_owned())
        .map_err(|_| HostError::International)
}

const fn is_name_character(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.')
}

fn check(name: &str) -> Result<(), HostError> {
    if name.is_empty() {
        return Err(HostError::EmptyLabel);
    }
    if name.len() > MAX_NAME {
        return Err(HostError::Long);
    }
    if let Some(bad) = name.chars().find(|c| !is_name_character(*c)) {
        return Err(HostError::Character(bad));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(HostError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(HostError::Long);
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(HostError::Hyphen);
        }
    }
    Ok(())
}

/// Records below a name may have underscores, and servers are found under such names; no top-level name has one.
fn check_top(name: &str) -> Result<(), HostError> {
    if name.rsplit('.').next().unwrap_or(name).contains('_') { Err(HostError::Underscore) } else { Ok(()) }
}
