//! Addresses of sandboxes' own networks: blocks of a range that nobody routes, so that none of the engine's few default
//! ones is used up.

use std::fmt;
use std::net::Ipv4Addr;

use boxwood_core::content_hash;

/// The range of the blocks, 198.18.0.0/15: set apart for testing networks against each other, never on the internet.
const RANGE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Blocks for sandboxes in it; the rest is for the networks that lead outside.
const BLOCKS: u32 = 112;
/// Networks that lead outside.
const OUTER: u32 = 64;
/// Prefix of a block.
const PREFIX: u32 = 22;
/// Prefix of a network that leads outside.
const OUTER_PREFIX: u32 = 24;

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) first: u32,
    pub(crate) prefix: u32,
}

impl Block {
    /// For example `198.18.4.0/22`.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        let (first, prefix) = text.split_once('/').expect("a prefix");
        let first: Ipv4Addr = first.parse().expect("an address");
        Self { first: first.to_bits(), prefix: prefix.parse().expect("a number") }
    }

    /// Whether any address is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let prefix = self.prefix.min(other.prefix);
        // A shift by all 32 bits is none.
        (self.first ^ other.first).checked_shr(u32::BITS - prefix).is_none_or(|differs| differs == 0)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

/// The block of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    first: u32,
}

impl Place {
    fn at(index: u32) -> Self {
        Self { first: RANGE.to_bits() + (index % BLOCKS) * (1 << (32 - PREFIX)) }
    }

    /// The block of a network's addresses, when they are one.
    pub(crate) fn parse(subnet: &str) -> Option<Self> {
        (0..BLOCKS).map(Self::at).find(|place| place.subnet() == subnet)
    }

    /// All its addresses.
    pub(crate) const fn block(self) -> Block {
        Block { first: self.first, prefix: PREFIX }
    }

    /// For example `198.18.4.0/22`.
    pub(crate) fn subnet(self) -> String {
        self.block().to_string()
    }

    /// The gateway's own address. The one before it is what engines take for the bridge.
    pub(crate) const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + 2)
    }

    /// The sandbox's address.
    pub(crate) const fn sandbox(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + 3)
    }
}

/// The blocks in the order in which a sandbox tries them, so that most find the first one free.
pub(crate) fn candidates(sandbox: &str) -> impl Iterator<Item = Place> {
    let hash = content_hash([sandbox.as_bytes()]);
    let begin = u32::from_str_radix(&hash[..8], 16).unwrap_or_default() % BLOCKS;
    (0..BLOCKS).map(move |step| Place::at(begin + step))
}

/// The blocks that a network which leads outside can have, in the order in which an installation tries them: 253 gateways each.
pub(crate) fn outer_candidates(installation: &str) -> impl Iterator<Item = Block> {
    let hash = content_hash([installation.as_bytes()]);
    let begin = u32::from_str_radix(&hash[..8], 16).unwrap_or_default() % OUTER;
    let first = Place { first: RANGE.to_bits() + BLOCKS * (1 << (32 - PREFIX)) }.first;
    let size = 1 << (32 - OUTER_PREFIX);
    (0..OUTER).map(move |step| Block { first: first + ((begin + step) % OUTER) * size, prefix: OUTER_PREFIX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_again_by_its_name() {
        let place = Place::at(1);
        assert_eq!(place.subnet(), "198.18.4.0/22");
        assert_eq!((place.gateway(), place.sandbox()), ([198, 18, 4, 2].into(), [198, 18, 4, 3].into()));
        assert_eq!(Place::parse("198.18.4.0/22"), Some(place));
        for other in ["198.18.5.0/22", "198.18.4.0/23", "198.20.0.0/22", "172.17.0.0/16", ""] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }

    #[test]
    fn every_block_is_tried_once() {
        let mut tried: Vec<_> = candidates("a-00000000").map(Place::subnet).collect();
        assert_eq!(tried, candidates("a-00000000").map(Place::subnet).collect::<Vec<_>>());
        tried.sort();
        tried.dedup();
        assert_eq!(tried.len(), 112);
        assert!(tried.iter().all(|subnet| subnet.starts_with("198.18.") || subnet.starts_with("198.19.")));
    }

    #[test]
    fn networks_that_lead_outside_have_the_rest() {
        let mut tried: Vec<_> = outer_candidates("0123456789abcdef").map(|block| block.to_string()).collect();
        tried.sort();
        tried.dedup();
        assert_eq!(tried.len(), 64);
        let third = |subnet: &String| subnet.strip_prefix("198.19.")?.split('.').next()?.parse::<u32>().ok();
        assert!(tried.iter().all(|subnet| subnet.ends_with(".0/24") && third(subnet).is_some_and(|n| n >= 192)));
        assert_eq!(Place::at(BLOCKS - 1).subnet(), "198.19.188.0/22");
    }
}
