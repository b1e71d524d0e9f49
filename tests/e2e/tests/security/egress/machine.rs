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
        r#"mkdir -p held && cp "$a" held/attack && setcap cap_net_raw+ep held/attack || { chmod u+s held/attack && held/attack packet; }"#,
        r#"mkdir -p held2 && cp "$a" held2/attack && held2/attack own friend.test"#,
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
        "the next hop of the default route",
        r#"hop=$(awk '$2 == "00000000" { print $3; exit }' /proc/net/route); hop=$(printf '%d.%d.%d.%d' $(fold -w2 <<<"$hop" | tac | sed 's/^/0x/'))
           reach "$hop:80" || "$a" talk "$hop:$HOST_PORT" read=host || "$a" dns "$hop" friend.test A"#,
        FRIEND,
    ),
    case("IPv6", r#"grep -vE ' lo$' /proc/net/if_inet6 | grep -q . && "$a" udp "[2001:db8::1]" 53 hello"#, FRIEND),
    case(
        "the gateway's programs, as processes",
        "grep -lzs '[b]oxwood-gateway' /proc/[0-9]*/cmdline | grep -q .",
        "grep -lzs keep /proc/[0-9]*/cmdline | grep -q .",
    ),
    case(
        "the authority's private key",
        r#"grep -rlIsE 'BEGIN (EC |RSA )?PRIVATE KEY' /etc /opt/boxwood /home/boxwood /run /usr/local | grep -q ."#,
        r#"printf 'BEGIN PRIVATE KEY' >key && grep -rlIsE 'BEGIN (EC )?PRIVATE KEY' key && rm key"#,
    ),
];
