//! The sandbox's own machine: its interfaces, routes, namespaces and kernel.

use super::case::{Case, case};

const FRIEND: &str = r#"web "$friend" friend.test"#;

pub(super) const CASES: &[Case] = &[
    case("one more address", r#""$a" address "${SUBNET%.*}.99" || "$a" address 203.0.113.250"#, FRIEND),
    case("the gateway's address", r#""$a" address "$GATEWAY""#, FRIEND),
    case(
        "another route",
        r#"for to in "${SUBNET%.*}.1" "$GATEWAY" "$NEIGHBOUR_GATEWAY"; do "$a" route "$to" && exit 0; done; false"#,
        FRIEND,
    ),
    case("listening to the wire", r#""$a" packet"#, FRIEND),
    case("packets with a sender of its own choice", r#""$a" raw "$GATEWAY" || "$a" raw "$NEIGHBOUR""#, FRIEND),
    case(
        "a network of its own",
        "unshare --net true || unshare --user --net true || unshare --user --map-root-user --net true",
        "unshare --help",
    ),
    case(
        "the network of another process",
        "nsenter --target 1 --net true || nsenter --net=/proc/1/ns/net true || nsenter --target 1 --all true",
        "nsenter --help",
    ),
    case(
        "settings of the network",
        r#"for name in net/ipv4/ip_forward net/ipv4/conf/all/route_localnet net/ipv6/conf/all/disable_ipv6 net/ipv4/conf/eth0/proxy_arp; do echo 1 >"/proc/sys/$name" && exit 0; done; false"#,
        "cat /proc/sys/net/ipv4/ip_forward",
    ),
    case(
        "filters of the kernel",
        r#"for tool in iptables nft ip tc bpftool; do command -v "$tool" >/dev/null && "$tool" list ruleset && exit 0; done; mount -t bpf none "$HOME" 2>/dev/null"#,
        FRIEND,
    ),
    case(
        "a device of the network",
        r#"mkdir -p d && mknod d/tun c 10 200 || test -e /dev/net/tun || test -e /dev/vhost-net"#,
        "mkdir -p d && mkfifo d/pipe && rm d/pipe",
    ),
    case(
        "a capability by a program with a bit set",
        r#"cp "$a" held && setcap cap_net_raw+ep held || { cp "$a" held && chmod u+s held && ./held packet; }"#,
        r#"cp "$a" held && ./held own friend.test"#,
    ),
    case(
        "the sockets of the kernel's abstract names",
        r#"grep -qE '@.*(docker|containerd|dbus|systemd)' /proc/net/unix"#,
        "grep -q . /proc/net/unix",
    ),
    case("virtual machines' own sockets", r#"test -e /dev/vsock || test -e /dev/vhost-vsock"#, "test -e /dev/null"),
    case(
        "every interface but its one",
        r#"test "$(ls /sys/class/net | grep -vxE 'lo|eth0|tunl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|sit0|ip6tnl0|ip6gre0' | wc -l)" -gt 0"#,
        r#"test -e /sys/class/net/eth0"#,
    ),
    case(
        "a default route to somewhere else than the gateway",
        r#"awk -v gateway="$(printf '%02X%02X%02X%02X' $(tac -s. <<<"$GATEWAY." | tr '.' ' '))" 'NR > 1 && $2 == "00000000" && $3 != gateway { found = 1 } END { exit !found }' /proc/net/route"#,
        "grep -q eth0 /proc/net/route",
    ),
    case("IPv6", r#"grep -vE ' lo$' /proc/net/if_inet6 | grep -q . && "$a" udp "[2001:db8::1]" 53 hello"#, FRIEND),
    case(
        "the gateway's programs, as processes",
        "grep -lz gateway /proc/[0-9]*/cmdline",
        "grep -lz keep /proc/[0-9]*/cmdline",
    ),
    case(
        "the authority's private key",
        r#"grep -rlsE 'BEGIN (EC |RSA )?PRIVATE KEY' /etc /opt /home/boxwood /run /usr/local "$PWD" | grep -q ."#,
        r#"printf 'BEGIN PRIVATE KEY' >key && grep -rlsE 'BEGIN PRIVATE KEY' key && rm key"#,
    ),
];
