//! The gateway's proxies: tunnels, absolute requests, SOCKS.

use super::case::{Case, case};

const TUNNEL: &str = r#"tunnel friend.test:443"#;
const SOCKS: &str = r#""$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x01\x00\x03\x0bfriend.test\x00\x50' 'read=\x05\x00' 'send=GET / HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=internet"#;

pub(super) const CASES: &[Case] = &[
    case("a tunnel to a denied name", "tunnel thief.test:443 || tunnel thief.test:80", TUNNEL),
    case("a tunnel to an address", r#"tunnel "$THIEF:443" || tunnel "$THIEF:80" || tunnel "$FRIEND:443""#, TUNNEL),
    case(
        "a tunnel to an address in strange notations",
        r#"for to in "$(decimal "$THIEF")" "$(printf 0x%x "$(decimal "$THIEF")")" "[::ffff:$THIEF]" "[::$THIEF]" "[64:ff9b::$THIEF]" "$(printf '0%o.0%o.0%o.0%o' ${THIEF//./ })" "$THIEF." 127.1 0 0x7f.1 "[::]" "[::1]" localhost localhost.; do
               tunnel "$to:80" && exit 0; done; false"#,
        TUNNEL,
    ),
    case(
        "a tunnel to a port that no rule names",
        "tunnel friend.test:25 || tunnel friend.test:22 || tunnel friend.test:7000",
        "tunnel echo.test:7000",
    ),
    case(
        "a tunnel to the proxy itself",
        r#"tunnel "$GATEWAY:3128" || tunnel "$GATEWAY:53" || tunnel 127.0.0.1:3128 || tunnel gateway.boxwood.internal:3128 || through itself.test:80 || through loopback.test:3128 http://friend.test/"#,
        TUNNEL,
    ),
    case("a tunnel to a name's own address", r#"tunnel "$friend:3128" || tunnel "$("$a" own echo.test):22""#, TUNNEL),
    case(
        "a tunnel with two names",
        r#"tunnel 'friend.test:443 thief.test:443' || tunnel 'friend.test:443@thief.test:443' || tunnel 'thief.test:443#friend.test:443' || tunnel 'friend.test:443,thief.test:443'"#,
        TUNNEL,
    ),
    case(
        "a tunnel to a name with a zero byte, percent notation, other letters",
        r#"tunnel 'thief.test\0.friend.test:443' || tunnel 'friend.test\0.thief.test:443' || tunnel '%74hief.test:443' || tunnel 'fr\xd1\x96end.test:443' || tunnel 'thief.test.:443' || tunnel 'THIEF.test:443'"#,
        "tunnel FRIEND.test:443",
    ),
    case(
        "a tunnel within a tunnel",
        r#""$a" talk "$GATEWAY:3128" 'send=CONNECT friend.test:80 HTTP/1.1\r\nHost: friend.test\r\n\r\n' 'read= 200' 'send=CONNECT thief.test:443 HTTP/1.1\r\nHost: thief.test\r\n\r\n' 'read= 200' hello=name=thief.test 'read=\x16\x03'"#,
        TUNNEL,
    ),
    case(
        "a tunnel through an allowed web server",
        r#""$a" talk "$friend:80" 'send=CONNECT thief.test:443 HTTP/1.1\r\nHost: thief.test:443\r\n\r\n' 'read= 200' || "$a" talk "$GATEWAY:80" 'send=CONNECT thief.test:443 HTTP/1.1\r\nHost: friend.test\r\n\r\n' 'read= 200'"#,
        TUNNEL,
    ),
    case("an absolute request to a denied name", "proxied http://thief.test/", "proxied http://friend.test/"),
    case(
        "an absolute request to an address",
        r#"proxied "http://$THIEF/" || proxied "http://$(decimal "$THIEF")/" || proxied "http://[::ffff:$THIEF]/""#,
        "proxied http://friend.test/",
    ),
    case(
        "an absolute request with a denied name as the host",
        r#""$a" talk "$GATEWAY:3128" 'send=GET http://friend.test/ HTTP/1.1\r\nHost: thief.test\r\n\r\n' 'read="internet":"thief.test"'"#,
        "proxied http://friend.test/",
    ),
    case(
        "an absolute request with a person in it",
        r#"proxied http://friend.test@thief.test/ || proxied http://friend.test:80@thief.test/ || proxied 'http://thief.test#@friend.test/'"#,
        "proxied http://friend.test/",
    ),
    case(
        "an absolute request of another scheme",
        r#"proxied https://thief.test/ || proxied ftp://thief.test/ || proxied file:///etc/passwd || proxied gopher://thief.test:80/_GET || proxied unix:/run/x"#,
        "proxied http://friend.test/",
    ),
    case(
        "an absolute request to the proxy itself",
        r#"proxied "http://$GATEWAY:3128/" || proxied http://localhost:3128/ || proxied http://gateway.boxwood.internal/ || proxied "http://$GATEWAY/""#,
        "proxied http://friend.test/",
    ),
    case(
        "a plain request to the proxy with a denied host",
        r#""$a" talk "$GATEWAY:3128" 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        "proxied http://friend.test/",
    ),
    case(
        "a second request to another host through the proxy",
        r#""$a" talk "$GATEWAY:3128" 'send=GET http://friend.test/ HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=internet 'send=GET http://thief.test/ HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        r#""$a" talk "$GATEWAY:3128" 'send=GET http://friend.test/ HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=internet 'send=GET http://any.wild.test/ HTTP/1.1\r\nHost: any.wild.test\r\n\r\n' read=internet"#,
    ),
    case(
        "a tunnel after a request",
        r#""$a" talk "$GATEWAY:3128" 'send=GET http://friend.test/ HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=internet 'send=CONNECT thief.test:80 HTTP/1.1\r\nHost: thief.test\r\n\r\n' 'read= 200' 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        TUNNEL,
    ),
    case(
        "a proxy with TLS",
        r#"browse -k --proxy-insecure -x "https://$GATEWAY:3128" https://thief.test/ | grep -q internet"#,
        r#"browse -x "http://$GATEWAY:3128" https://friend.test/ | grep -q internet"#,
    ),
    case(
        "SOCKS 4 to an address",
        r#"browse --socks4 "$GATEWAY:1080" "http://$THIEF/" | grep -q internet || browse --socks4a "$GATEWAY:1080" http://thief.test/ | grep -q internet"#,
        SOCKS,
    ),
    case(
        "SOCKS 5 to an address",
        r#"browse --socks5 "$GATEWAY:1080" "http://$THIEF/" | grep -q internet"#,
        r#"browse --socks5-hostname "$GATEWAY:1080" http://friend.test/ | grep -q internet"#,
    ),
    case(
        "SOCKS 5 to an address of IPv6",
        r#""$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' "send=\x05\x01\x00\x04\{10*\0}\xff\xff$(octets "$THIEF")\x00\x50" 'read=\x05\x00' 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        SOCKS,
    ),
    case(
        "SOCKS 5 to a denied name",
        r#"browse --socks5-hostname "$GATEWAY:1080" http://thief.test/ | grep -q internet"#,
        r#"browse --socks5-hostname "$GATEWAY:1080" http://friend.test/ | grep -q internet"#,
    ),
    case(
        "SOCKS 5 to an address written as a name",
        r#""$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' "send=\x05\x01\x00\x03\x$(printf %02x ${#THIEF})$THIEF\x00\x50" 'read=\x05\x00' 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        SOCKS,
    ),
    case(
        "SOCKS 5 to a name with a zero byte",
        r#""$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x01\x00\x03\x16thief.test\0friend.test\x00\x50' 'read=\x05\x00' || "$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x01\x00\x03\x16friend.test\0thief.test\x00\x50' 'read=\x05\x00'"#,
        SOCKS,
    ),
    case(
        "SOCKS 5 to an allowed name with a denied one inside",
        r#""$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x01\x00\x03\x0bfriend.test\x01\xbb' 'read=\x05\x00' hello=name=thief.test 'read=\x16\x03' || "$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x01\x00\x03\x0bfriend.test\x00\x50' 'read=\x05\x00' 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        r#""$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x01\x00\x03\x0bfriend.test\x01\xbb' 'read=\x05\x00' hello=name=friend.test 'read=\x16\x03'"#,
    ),
    case(
        "SOCKS 5 to be connected to, and for datagrams",
        r#""$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x02\x00\x03\x0bfriend.test\x00\x50' 'read=\x05\x00' || "$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' 'send=\x05\x03\x00\x03\x0bfriend.test\x00\x50' 'read=\x05\x00'"#,
        SOCKS,
    ),
    case(
        "SOCKS 5 to the gateway itself and to private addresses by name",
        r#"for name in itself.test loopback.test metadata.test private.test; do "$a" talk "$GATEWAY:1080" 'send=\x05\x01\x00' 'read=\x05\x00' "send=\x05\x01\x00\x03\x$(printf %02x ${#name})$name\x00\x50" 'read=\x05\x00' "send=GET / HTTP/1.1\r\nHost: $name\r\n\r\n" 'read=HTTP/1.1 200' & all+=($!); done; won"#,
        SOCKS,
    ),
];
