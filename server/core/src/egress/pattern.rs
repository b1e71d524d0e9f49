//! What a rule names: a host, everything below a name, a block of addresses, everything. And `name:port`.

use core::fmt;
use core::net::IpAddr;

use super::address::{Block, is_private};
use super::host::{Host, HostError};

/// The hosts that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// One host.
    Exact(Host),
    /// Every name below this one, at any depth; not the name itself.
    Below(String),
    /// Every address of a block.
    Block(Block),
    /// Every name and every address.
    Any,
}

/// Why a text names no hosts. Reads after "'…':".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No host.
    #[error("not a host: {0}")]
    Host(#[from] HostError),
    /// A whole address of a page.
    #[error("write the name alone, without '://' and what is around it")]
    Url,
    /// Something after a slash.
    #[error("write the name alone; paths stand in a rule's `paths`")]
    Path,
    /// Not a port.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// A star in another place.
    #[error("a '*' stands alone or in front of a name, as in '*.example.com'")]
    Wildcard,
    /// Not a block of addresses.
    #[error("a block of addresses is an address, a slash and a number of bits that the address has")]
    Block,
    /// The address of a block has bits beyond its length.
    #[error("the block that this address is in is written '{0}'")]
    BlockBits(String),
}

impl Pattern {
    /// Reads what a rule's `host` says.
    ///
    /// # Errors
    /// When it is not a name, `*.name`, `*`, an address or a block of addresses.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.contains("://") {
            return Err(PatternError::Url);
        }
        if text.contains('/') {
            return block(text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text));
        }
        if let Some(name) = text.strip_prefix("*.") {
            if name.contains('*') {
                return Err(PatternError::Wildcard);
            }
            return match Host::parse(name)? {
                Host::Name(name) => Ok(Self::Below(name)),
                Host::Address(_) => Err(PatternError::Wildcard),
            };
        }
        if text.contains('*') {
            return Err(PatternError::Wildcard);
        }
        Ok(Self::Exact(Host::parse(text)?))
    }

    /// Whether `host` is one of them.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(exact), host) => exact == host,
            (Self::Below(name), Host::Name(host)) => {
                host.strip_suffix(name.as_str()).is_some_and(|front| front.ends_with('.'))
            }
            (Self::Block(block), Host::Address(address)) => block.contains(*address),
            (Self::Below(_), Host::Address(_)) | (Self::Block(_), Host::Name(_)) => false,
        }
    }

    /// Whether it names private addresses and no others, so that whoever wrote it meant private ones.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Exact(Host::Address(address)) => is_private(*address),
            Self::Block(block) => block.is_private(),
            Self::Exact(Host::Name(_)) | Self::Below(_) | Self::Any => false,
        }
    }

    /// How much it leaves open, as a number that grows: one host is 0, a longer name below which everything counts
    /// comes before a shorter one.
    pub(super) fn openness(&self) -> u32 {
        match self {
            Self::Exact(_) => 0,
            Self::Below(name) => 1000 - name.split('.').count() as u32,
            Self::Block(block) => 1000 - u32::from(block.length()),
            Self::Any => 2000,
        }
    }

    /// As it stands in front of a port.
    pub(super) fn before_port(&self) -> String {
        match self {
            Self::Exact(Host::Address(IpAddr::V6(_))) => self.to_string(),
            Self::Block(block) if block.network().is_ipv6() => format!("[{self}]"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(Host::Address(IpAddr::V6(six))) => write!(formatter, "[{six}]"),
            Self::Exact(host) => host.fmt(formatter),
            Self::Below(name) => write!(formatter, "*.{name}"),
            Self::Block(block) => write!(formatter, "{}/{}", block.network(), block.length()),
            Self::Any => formatter.write_str("*"),
        }
    }
}

fn block(text: &str) -> Result<Pattern, PatternError> {
    let (address, length) = text.split_once('/').ok_or(PatternError::Block)?;
    let Ok(address) = address.parse::<IpAddr>() else {
        // A name with a path, most likely.
        return Err(if address.contains(':') { PatternError::Block } else { PatternError::Path });
    };
    if address != address.to_canonical() || length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PatternError::Block);
    }
    let length = length.parse::<u8>().map_err(|_| PatternError::Block)?;
    let block = Block::around(address, length).ok_or(PatternError::Block)?;
    if block.network() != address {
        return Err(PatternError::BlockBits(Pattern::Block(block).to_string()));
    }
    let is_single = length == if address.is_ipv4() { 32 } else { 128 };
    Ok(if is_single { Pattern::Exact(Host::Address(address)) } else { Pattern::Block(block) })
}

/// Hosts, and one port of them when a port was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The hosts.
    pub pattern: Pattern,
    /// The port.
    pub port: Option<u16>,
}

impl Target {
    /// Reads `name`, `*.name`, `*`, an address or a block, each with or without `:port`. An IPv6 address in front of a
    /// port stands in brackets.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if text.contains("://") {
            return Err(PatternError::Url);
        }
        let (host, port) = if text.starts_with('[') {
            let end = text.find(']').ok_or(HostError::Colon)? + 1;
            match &text[end..] {
                "" => (text, None),
                rest => (&text[..end], Some(rest.strip_prefix(':').ok_or(PatternError::Port)?)),
            }
        } else {
            match text.split_once(':') {
                // More than one colon: an IPv6 address without brackets.
                Some((_, port)) if port.contains(':') => (text, None),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        Ok(Self { pattern: Pattern::parse(host)?, port: port.map(parse_port).transpose()? })
    }
}

fn parse_port(text: &str) -> Result<u16, PatternError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if is_number && port != 0 => Ok(port),
        _ if text.contains('/') => Err(PatternError::Path),
        _ => Err(PatternError::Port),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.pattern.fmt(formatter),
            Some(port) => write!(formatter, "{}:{port}", self.pattern.before_port()),
        }
    }
}
