//! Addresses: which of them lead into a private network, and the spellings that the C library takes for one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses: all that share the first `length` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    network: IpAddr,
    length: u8,
}

impl Block {
    /// The block of `length` bits that `address` is in; `None` when the family has fewer bits.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Option<Self> {
        let network = match address {
            IpAddr::V4(four) => IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() & mask4(length)?)),
            IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & mask6(length)?)),
        };
        Some(Self { network, length })
    }

    /// Its first address.
    #[must_use]
    pub const fn network(self) -> IpAddr {
        self.network
    }

    /// How many bits its addresses share.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.network.is_ipv4() == address.is_ipv4() && Self::around(address, self.length) == Some(self)
    }

    /// Whether every address in it is private, by the table below.
    #[must_use]
    pub fn is_private(self) -> bool {
        let within = |outer: Self| outer.length <= self.length && outer.contains(self.network);
        match self.network {
            IpAddr::V4(_) => {
                PRIVATE4.iter().any(|(a, length)| Self::around(IpAddr::from(*a), *length).is_some_and(within))
            }
            // Outside of global unicast, and without the prefix that carries IPv4.
            IpAddr::V6(six) => {
                (self.length >= 3 && six.segments()[0] >> 13 != 1 && !carries(self))
                    || PRIVATE6.iter().any(|(a, length)| Self::around(IpAddr::from(*a), *length).is_some_and(within))
            }
        }
    }
}

/// Whether a block has addresses that carry IPv4 over to networks without it, or lies in them.
fn carries(block: Block) -> bool {
    let carrier = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    block.contains(IpAddr::V6(carrier)) || Block { network: IpAddr::V6(carrier), length: 96 }.contains(block.network)
}

const fn mask4(length: u8) -> Option<u32> {
    match length {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - length)),
        _ => None,
    }
}

const fn mask6(length: u8) -> Option<u128> {
    match length {
        0 => Some(0),
        1..=128 => Some(u128::MAX << (128 - length)),
        _ => None,
    }
}

/// IPv4 that is not globally routable unicast. From the registry of special-purpose addresses, RFC 6890; the three
/// blocks for documentation are left out: nothing private can be there, and tests use them as the internet.
const PRIVATE4: [([u8; 4], u8); 13] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    // Not in the registry: where one cloud serves its machines' metadata.
    ([168, 63, 129, 16], 32),
];

/// Parts of IPv6's global unicast (2000::/3) that are not routable: protocol assignments (Teredo and benchmarks among
/// them) and documentation.
const PRIVATE6: [([u16; 8], u8); 3] =
    [([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20)];

/// Whether `address` is anything but globally routable unicast: loopback, private, link-local, shared, multicast,
/// reserved, or IPv6 that carries such an IPv4 address.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_private4(four),
        IpAddr::V6(six) => is_private6(six),
    }
}

fn is_private4(four: Ipv4Addr) -> bool {
    Block { network: IpAddr::V4(four), length: 32 }.is_private()
}

fn is_private6(six: Ipv6Addr) -> bool {
    let s = six.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if let Some(four) = six.to_ipv4_mapped() {
        return is_private4(four);
    }
    if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_private4(embedded(s[6], s[7]));
    }
    if s[0] == 0x2002 {
        return is_private4(embedded(s[1], s[2]));
    }
    s[0] >> 13 != 1 || Block { network: IpAddr::V6(six), length: 128 }.is_private()
}

/// What no policy can allow: addresses that mean the gateway itself, everybody, or nobody.
#[must_use]
pub fn is_never(address: IpAddr) -> bool {
    let four =
        |four: Ipv4Addr| four.octets()[0] == 0 || four.is_loopback() || four.is_multicast() || four.octets()[0] >= 240;
    match address {
        IpAddr::V4(address) => four(address),
        IpAddr::V6(six) => {
            six.to_ipv4_mapped().map_or_else(|| six.is_unspecified() || six.is_loopback() || six.is_multicast(), four)
        }
    }
}

/// Whether the C library would take the name for an address, right or wrong: its last part is a number.
pub(super) fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !last.is_empty() && (last.bytes().all(|byte| byte.is_ascii_digit()) || number(last).is_some())
}

/// The address of a numeric name in any notation of `inet_aton`: one to four parts, decimal, octal (`0`) or
/// hexadecimal (`0x`), the last one filling what is left.
pub(super) fn inet_aton(name: &str) -> Option<Ipv4Addr> {
    let parts = name.split('.').map(number).collect::<Option<Vec<u64>>>()?;
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 || bytes.iter().any(|byte| *byte > 255) || *last >= 1 << (8 * (4 - bytes.len())) {
        return None;
    }
    let high = bytes.iter().enumerate().fold(0, |sum, (place, byte)| sum | byte << (24 - 8 * place));
    u32::try_from(high | last).ok().map(Ipv4Addr::from_bits)
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // `0x` alone is zero to the C library.
    if digits.is_empty() {
        return (radix == 16).then_some(0);
    }
    digits.bytes().all(|byte| (byte as char).is_digit(radix)).then(|| u64::from_str_radix(digits, radix).ok())?
}
