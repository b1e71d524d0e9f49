//! Routes that the host has already. Engines compare a new network with their own ones alone, so a block to which a bridge
//! that somebody left behind has a route would be given to a network whose traffic then goes astray.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::lifecycle::place::Block;

/// Where Linux tells its routes.
const TABLE: &str = "/proc/net/route";
/// Shortest prefix that counts. Shorter ones are ways to everything else, and every narrower route goes before them.
const SHORTEST: u32 = 8;

/// The host's table of routes.
#[derive(Debug)]
pub(crate) struct Routes {
    table: Option<PathBuf>,
}

impl Routes {
    /// Those of this machine. Where it is not Linux, nothing is known of them.
    pub(crate) fn of_host() -> Self {
        Self { table: cfg!(target_os = "linux").then(|| PathBuf::from(TABLE)) }
    }

    /// Those of a table in a file.
    #[cfg(test)]
    pub(crate) const fn of(table: PathBuf) -> Self {
        Self { table: Some(table) }
    }

    /// What they lead to now. They come and go with networks, so nothing is kept.
    pub(crate) fn taken(&self) -> Taken {
        let Some(table) = &self.table else { return Taken::default() };
        match fs::read_to_string(table) {
            Ok(text) => Taken(parse(&text)),
            Err(cause) => {
                tracing::debug!(%cause, table = %table.display(), "the host's routes cannot be read");
                Taken::default()
            }
        }
    }
}

/// Blocks that the host has routes to.
#[derive(Debug, Default)]
pub(crate) struct Taken(Vec<Block>);

impl Taken {
    /// The candidates, those to which nothing leads before those that lie in something wider: the narrowest route is taken, so a network
    /// there works, but who goes the wide way (a VPN's, say) misses its addresses. To some of the rest a route leads that would
    /// be taken instead of the network's. They are left out; whether there are any is the second value.
    pub(crate) fn sift<T: Copy>(
        &self,
        candidates: impl Iterator<Item = T>,
        block: impl Fn(T) -> Block,
    ) -> (Vec<T>, bool) {
        let (mut free, mut within, mut left_out) = (Vec::new(), Vec::new(), false);
        for candidate in candidates {
            let block = block(candidate);
            let narrowest = self.0.iter().filter(|route| route.overlaps(block)).max_by_key(|route| route.prefix);
            match narrowest {
                None => free.push(candidate),
                Some(route) if route.prefix < block.prefix => within.push(candidate),
                Some(route) => {
                    tracing::info!(%block, %route, "a route of the host leads there, so no network gets these addresses");
                    left_out = true;
                }
            }
        }
        free.append(&mut within);
        (free, left_out)
    }
}

/// The blocks that a table in the form of `/proc/net/route` names. Lines of another form say nothing, as does its heading.
fn parse(table: &str) -> Vec<Block> {
    table.lines().filter_map(route).filter(|block| block.prefix >= SHORTEST).collect()
}

fn route(line: &str) -> Option<Block> {
    let mut fields = line.split_whitespace();
    let (destination, mask) = (address(fields.nth(1)?)?, address(fields.nth(5)?)?);
    let prefix = mask.leading_ones();
    let is_whole = prefix + mask.trailing_zeros() == u32::BITS;
    is_whole.then_some(Block { first: destination & mask, prefix })
}

/// An address as the kernel prints it: its bytes in memory as a number of this machine.
fn address(text: &str) -> Option<u32> {
    let is_hexadecimal = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hexadecimal.then(|| u32::from_str_radix(text, 16).ok())??;
    Some(Ipv4Addr::from(number.to_ne_bytes()).to_bits())
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const HEADING: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT    \n";

    fn named(table: &str) -> Vec<String> {
        parse(&format!("{HEADING}{table}")).iter().map(Block::to_string).collect()
    }

    #[test]
    fn routes_are_read_as_the_kernel_prints_them() {
        let table = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0   \n\
                     br-0123\t000412C6\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0   \n\
                     wg0\t030013c6\t00000000\t0005\t0\t0\t0\tffffffff\t0\t0\t0\n";
        assert_eq!(named(table), ["172.17.0.0/16", "198.18.4.0/22", "198.19.0.3/32"]);
    }

    #[test]
    fn ways_to_everything_else_do_not_count() {
        let table = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     tun0\t00000080\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
                     tun1\t000000C6\t0100080A\t0003\t0\t0\t0\t000000FE\t0\t0\t0\n\
                     tun2\t000000C6\t0100080A\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n";
        assert_eq!(named(table), ["198.0.0.0/8"]);
    }

    #[test]
    fn lines_of_another_form_say_nothing() {
        for line in [
            "",
            "br0",
            "br0\t000412C6\t00000000\t0001\t0\t0\t0",
            "br0\t000412C6\t00000000\t0001\t0\t0\t0\t",
            "br0\t000412C\t00000000\t0001\t0\t0\t0\t00FCFFFF",
            "br0\t+00412C6\t00000000\t0001\t0\t0\t0\t00FCFFFF",
            "br0\t000412C600\t00000000\t0001\t0\t0\t0\t00FCFFFF",
            "br0\t198.18.4.0\t00000000\t0001\t0\t0\t0\t255.255.252.0",
            "br0\tädtsäöü\t00000000\t0001\t0\t0\t0\t00FCFFFF",
            // A mask with a hole.
            "br0\t000412C6\t00000000\t0001\t0\t0\t0\tFF00FFFF",
        ] {
            assert_eq!(named(line), [""; 0], "{line:?}");
        }
        assert_eq!(named("rubbish\nbr0\t000412C6\t00000000\t0001\t0\t0\t0\t00FCFFFF"), ["198.18.4.0/22"]);
    }

    /// What is left of three candidates, and whether anything was left out.
    fn sifted(routes: &[&str]) -> (String, bool) {
        let candidates = ["198.18.4.0/22", "198.18.8.0/22", "198.19.4.0/22"].map(Block::of);
        let (left, is_less) =
            Taken(routes.iter().map(|route| Block::of(route)).collect()).sift(candidates.into_iter(), |block| block);
        let named: Vec<_> = left.iter().map(Block::to_string).collect();
        (named.join(" ").replace(".0/22", ""), is_less)
    }

    #[test]
    fn a_block_that_a_route_leads_to_is_left_out() {
        for (route, left) in [
            ("198.18.4.0/22", "198.18.8 198.19.4"),
            ("198.18.7.255/32", "198.18.8 198.19.4"),
            ("198.18.9.0/24", "198.18.4 198.19.4"),
        ] {
            assert_eq!(sifted(&[route]), (left.to_owned(), true), "{route}");
        }
        for routes in [vec![], vec!["198.18.3.255/32"], vec!["198.18.12.0/22", "10.0.0.0/8"]] {
            assert_eq!(sifted(&routes), ("198.18.4 198.18.8 198.19.4".to_owned(), false), "{routes:?}");
        }
    }

    #[test]
    fn a_block_within_a_wider_route_comes_last() {
        for (routes, left, is_less) in [
            (vec!["198.18.0.0/16"], "198.19.4 198.18.4 198.18.8", false),
            (vec!["198.18.0.0/15"], "198.18.4 198.18.8 198.19.4", false),
            (vec!["198.18.0.0/15", "198.18.4.0/24"], "198.18.8 198.19.4", true),
            (vec!["198.18.4.0/24", "198.18.0.0/16"], "198.19.4 198.18.8", true),
        ] {
            assert_eq!(sifted(&routes), (left.to_owned(), is_less), "{routes:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_takes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let (missing, unreadable) = (directory.path().join("missing"), directory.path().to_path_buf());
        for routes in [Routes::of(missing), Routes::of(unreadable), Routes { table: None }] {
            assert!(routes.taken().0.is_empty(), "{routes:?}");
        }
    }
}
