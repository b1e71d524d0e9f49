//! Own addresses: each name that may be reached has one in the sandbox's network, and the gateway answers at all of
//! them. So a connection's name is known from where it went, on any port and whatever is spoken there.
//!
//! A name keeps its address as long as there is room, and the same names get the same addresses after a restart in
//! most cases. An address changes its name only when nothing uses it and clients have forgotten it.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::state::lock;

/// The first 16 addresses of the network are the gateway's, the sandbox's, and in reserve.
const RESERVED_BITS: u8 = 4;
const FIRST_OWN: u32 = 1 << RESERVED_BITS;
/// How long clients may keep an address that they were told.
pub const TTL: Duration = Duration::from_secs(30);
/// How long an address is unused before another name gets it; longer, because some clients keep what they were told longer.
const REST: Duration = Duration::from_secs(4 * TTL.as_secs());

/// A block of addresses, for example `198.18.4.0/22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    network: u32,
    length: u8,
}

/// Why a text is no subnet for a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subnet is the first address of a block, a slash and a number of bits from 16 to 26")]
pub struct SubnetError;

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let (address, length) = text.split_once('/').ok_or(SubnetError)?;
        let address: Ipv4Addr = address.parse().map_err(|_| SubnetError)?;
        let length: u8 = length.parse().map_err(|_| SubnetError)?;
        let subnet = Self { network: address.to_bits(), length };
        let is_block = (16..=26).contains(&length) && subnet.network & !subnet.mask() == 0;
        if is_block { Ok(subnet) } else { Err(SubnetError) }
    }
}

impl Subnet {
    const fn mask(self) -> u32 {
        u32::MAX << (32 - self.length)
    }

    /// Whether the address is in it.
    #[must_use]
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask() == self.network
    }

    /// Whether the address is one that names get.
    #[must_use]
    pub const fn is_own(self, address: Ipv4Addr) -> bool {
        self.contains(address) && self.slot(address) < self.own_count()
    }

    /// How many names can have an address at a time: all but the first ones and the last one, which is everybody's.
    const fn own_count(self) -> usize {
        (!self.mask() - FIRST_OWN) as usize
    }

    /// The number of an own address; a very large one for those in front of them.
    const fn slot(self, address: Ipv4Addr) -> usize {
        (address.to_bits() - self.network).wrapping_sub(FIRST_OWN) as usize
    }

    const fn at(self, slot: usize) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network + FIRST_OWN + slot as u32)
    }

    /// The own addresses as whole blocks: first address and bits, for routes.
    #[must_use]
    pub fn own_blocks(self) -> Vec<(Ipv4Addr, u8)> {
        // Each block is as large as what lies in front of it: 16 addresses from the 16th, 32 from the 32nd, and so on.
        let lengths = (self.length + 1..=32 - RESERVED_BITS).rev();
        lengths.map(|length| (Ipv4Addr::from_bits(self.network + (1 << (32 - length))), length)).collect()
    }
}

struct Slot {
    name: Arc<str>,
    used: Instant,
    flows: u32,
}

struct Table {
    slots: Vec<Option<Slot>>,
    by_name: HashMap<Arc<str>, usize>,
}

/// Which name has which own address. Clones are of the same table.
#[derive(Clone)]
pub struct Addresses {
    subnet: Subnet,
    table: Arc<Mutex<Table>>,
}

impl Addresses {
    /// An empty table of a subnet.
    #[must_use]
    pub fn new(subnet: Subnet) -> Self {
        let slots = (0..subnet.own_count()).map(|_| None).collect();
        Self { subnet, table: Arc::new(Mutex::new(Table { slots, by_name: HashMap::new() })) }
    }

    /// The subnet.
    #[must_use]
    pub const fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The address of a name in its normal form; it gets one if it has none. `None` when all are in use.
    #[must_use]
    pub fn of_name(&self, name: &str, now: Instant) -> Option<Ipv4Addr> {
        let mut table = lock(&self.table);
        let slot = match table.by_name.get(name) {
            Some(slot) => *slot,
            None => table.take(name, now)?,
        };
        if let Some(slot) = &mut table.slots[slot] {
            slot.used = now;
        }
        Some(self.subnet.at(slot))
    }

    /// The name that an address stands for.
    #[must_use]
    pub fn name_of(&self, address: Ipv4Addr) -> Option<Arc<str>> {
        let slot = self.slot(address)?;
        lock(&self.table).slots[slot].as_ref().map(|slot| Arc::clone(&slot.name))
    }

    /// The name that an address stands for, and keeps standing for until what is returned is dropped.
    #[must_use]
    pub fn hold(&self, address: Ipv4Addr, now: Instant) -> Option<Held> {
        let index = self.slot(address)?;
        let mut table = lock(&self.table);
        let slot = table.slots[index].as_mut()?;
        slot.flows += 1;
        slot.used = now;
        Some(Held { name: Arc::clone(&slot.name), slot: index, table: Arc::clone(&self.table) })
    }

    fn slot(&self, address: Ipv4Addr) -> Option<usize> {
        self.subnet.is_own(address).then(|| self.subnet.slot(address))
    }
}

impl Table {
    /// Gives a name a slot: a free one, else the one that was unused for longest.
    fn take(&mut self, name: &str, now: Instant) -> Option<usize> {
        // Where a name starts to look depends on the name alone, so that a restart changes little.
        let start = usize::try_from(hash(name) % self.slots.len() as u64).unwrap_or(0);
        let free = (start..self.slots.len()).chain(0..start).find(|slot| self.slots[*slot].is_none());
        let index = free.or_else(|| self.oldest(now))?;
        let name: Arc<str> = name.into();
        if let Some(old) = self.slots[index].replace(Slot { name: Arc::clone(&name), used: now, flows: 0 }) {
            self.by_name.remove(&old.name);
        }
        self.by_name.insert(name, index);
        Some(index)
    }

    fn oldest(&self, now: Instant) -> Option<usize> {
        let may_go = |slot: &Slot| slot.flows == 0 && now.saturating_duration_since(slot.used) >= REST;
        let slots = self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)));
        slots.filter(|(_, slot)| may_go(slot)).min_by_key(|(_, slot)| slot.used).map(|(index, _)| index)
    }
}

/// FNV-1a: the same in every build, unlike the standard library's. Whom it favours does not matter.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A connection's hold on an own address.
pub struct Held {
    name: Arc<str>,
    slot: usize,
    table: Arc<Mutex<Table>>,
}

impl Held {
    /// The name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Held").field(&self.name).finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(slot) = &mut lock(&self.table).slots[self.slot] {
            slot.flows -= 1;
            slot.used = Instant::now().max(slot.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a subnet")
    }

    fn small() -> Addresses {
        Addresses::new(subnet("198.18.4.0/26"))
    }

    fn name(number: usize) -> String {
        format!("host{number}.example")
    }

    #[test]
    fn subnets_are_blocks_of_a_useful_size() {
        for good in ["198.18.4.0/22", "198.18.0.0/16", "198.18.0.64/26"] {
            assert!(good.parse::<Subnet>().is_ok(), "{good}");
        }
        for bad in
            ["", "198.18.4.0", "198.18.4.1/22", "198.18.4.0/27", "198.18.0.0/15", "198.18.4.0/", "::/22", "1.2.3/22"]
        {
            assert_eq!(bad.parse::<Subnet>(), Err(SubnetError), "{bad}");
        }
    }

    #[test]
    fn own_addresses_leave_out_the_first_ones_and_the_last() {
        let subnet = subnet("198.18.4.0/22");
        let is_own = |address: &str| subnet.is_own(address.parse().expect("an address"));
        for address in ["198.18.4.16", "198.18.5.0", "198.18.7.254"] {
            assert!(is_own(address), "{address}");
        }
        for address in
            ["198.18.3.255", "198.18.4.0", "198.18.4.2", "198.18.4.15", "198.18.7.255", "198.18.8.0", "10.0.0.16"]
        {
            assert!(!is_own(address), "{address}");
        }
    }

    #[test]
    fn blocks_cover_all_own_addresses_and_none_of_the_first() {
        for text in ["198.18.4.0/22", "198.18.4.64/26", "198.18.0.0/16"] {
            let subnet = subnet(text);
            let blocks = subnet.own_blocks();
            let covered = |address: u32| {
                blocks.iter().filter(|(first, length)| address & (u32::MAX << (32 - length)) == first.to_bits()).count()
            };
            for address in subnet.network..=subnet.network | !subnet.mask() {
                assert_eq!(
                    covered(address),
                    usize::from(address - subnet.network >= FIRST_OWN),
                    "{address:x} of {text}"
                );
            }
        }
    }

    #[test]
    fn a_name_keeps_its_address_and_gets_it_again_after_a_restart() {
        let (first, second, now) = (small(), small(), Instant::now());
        let address = first.of_name("a.example", now).expect("room");
        assert_eq!(first.of_name("a.example", now), Some(address));
        assert_ne!(first.of_name("b.example", now), Some(address));
        assert_eq!(first.name_of(address).as_deref(), Some("a.example"));
        assert_eq!(second.of_name("a.example", now), Some(address));
    }

    #[test]
    fn addresses_that_nobody_has_been_told_have_no_name() {
        let addresses = small();
        for last in 0..=255 {
            let address = Ipv4Addr::new(198, 18, 4, last);
            assert_eq!(addresses.name_of(address), None);
            assert!(addresses.hold(address, Instant::now()).is_none());
        }
    }

    #[test]
    fn when_full_the_longest_unused_goes_but_nothing_that_is_in_use_or_remembered() {
        let addresses = small();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let count = addresses.subnet().own_count();
        let told: Vec<_> = (0..count).map(|n| addresses.of_name(&name(n), at(n as u64)).expect("room")).collect();
        assert_eq!(told.iter().collect::<std::collections::HashSet<_>>().len(), count);

        assert_eq!(addresses.of_name("new.example", at(100)), None);

        let held = addresses.hold(told[0], at(0)).expect("known");
        assert_eq!(&**held.name(), "host0.example");
        assert_eq!(addresses.of_name("new.example", at(130)), Some(told[1]));
        assert_eq!(addresses.name_of(told[1]).as_deref(), Some("new.example"));
        assert_eq!(addresses.name_of(told[0]).as_deref(), Some("host0.example"));
        // The one that lost its address gets another one.
        assert_eq!(addresses.of_name(&name(1), at(1000)), Some(told[2]));

        drop(held);
        assert_eq!(addresses.of_name("newer.example", at(2000)), Some(told[0]));
        assert_eq!(addresses.of_name("last.example", at(3000)), Some(told[3]));
    }
}
