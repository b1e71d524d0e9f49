//! The kernel's tables of routes (format: proc(5)), as far as `reach` needs them.

/// `RTF_UP` and `RTF_REJECT`.
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

/// Default routes in the text of `/proc/net/route` behind which there is somebody, by the text of `/proc/net/arp`.
///
/// Some engines give a network that leads nowhere a default route all the same, to an address that nobody has. After
/// something was tried by it, its neighbour either has answered or not.
pub(super) fn defaults_v4(table: &str, neighbours: &str) -> Vec<String> {
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|row| match row[..] {
        [device, "00000000", gateway, flags, _, _, _, mask, ..] if mask.bytes().all(|digit| digit == b'0') => {
            let next = dotted(gateway);
            let is_open = next == "0.0.0.0" || is_there(&next, neighbours);
            (is_usable(flags) && is_open).then(|| format!("{device} via {next}"))
        }
        _ => None,
    })
    .collect()
}

/// Whether a neighbour has answered, or was set by hand.
fn is_there(address: &str, neighbours: &str) -> bool {
    let rows = neighbours.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.first() == Some(&address));
    // `ATF_COM`
    rows.any(|row| {
        let flags = row.get(2).and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
        flags.is_none_or(|flags| flags & 0x2 != 0)
    })
}

/// Devices of default routes in the text of `/proc/net/ipv6_route`.
pub(super) fn defaults_v6(table: &str) -> Vec<String> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|row| match row[..] {
        [destination, "00", .., flags, device] if destination.bytes().all(|digit| digit == b'0') => {
            (is_usable(flags) && device != "lo").then(|| device.to_owned())
        }
        _ => None,
    })
    .collect()
}

fn is_usable(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP != 0 && flags & REJECT == 0)
}

/// The kernel writes an address as a number of its own byte order.
fn dotted(hexadecimal: &str) -> String {
    match u32::from_str_radix(hexadecimal, 16) {
        Ok(number) => std::net::Ipv4Addr::from(number.to_ne_bytes()).to_string(),
        Err(_) => hexadecimal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_default_routes_to_somebody_count() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let own = "eth0\t000412C6\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0\n";
        let default = "eth0\t00000000\t01010101\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        let direct = "eth1\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";
        let neighbour = |flags: &str| {
            format!(
                "IP address  HW type  Flags  HW address  Mask  Device\n1.1.1.1  0x1  {flags}  00:00:00:00:00:00  *  eth0\n"
            )
        };
        let check = |table: &str, neighbours: &str, expected: &[&str]| {
            assert_eq!(defaults_v4(&format!("{head}{table}"), neighbours), expected);
        };
        check(own, &neighbour("0x2"), &[]);
        check(default, "", &[]);
        check(default, &neighbour("0x0"), &[]);
        check(default, &neighbour("0x2"), &["eth0 via 1.1.1.1"]);
        check(default, &neighbour("0x6"), &["eth0 via 1.1.1.1"]);
        check(direct, "", &["eth1 via 0.0.0.0"]);
    }

    #[test]
    fn the_kernels_own_reject_route_is_none() {
        let zero = "00000000000000000000000000000000";
        let reject = format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n");
        assert!(defaults_v6(&reject).is_empty());
        let default = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
        );
        assert_eq!(defaults_v6(&default), ["eth0"]);
    }
}
