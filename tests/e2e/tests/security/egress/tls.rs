//! TLS: names that are absent, wrong, doubled, hidden; first messages that are no first messages.

use super::case::{Case, case};

const FRIEND: &str = r#"shake "$friend:443" friend.test"#;
const HANDSHAKE: &str = r#""$a" talk "$GATEWAY:443" hello=name=friend.test 'read=\x16\x03'"#;

pub(super) const CASES: &[Case] = &[
    case("a denied name", r#"shake "$GATEWAY:443" thief.test"#, HANDSHAKE),
    case(
        "no name, at the gateway's address",
        r#""$a" talk "$GATEWAY:443" hello= 'read=\x16\x03'"#,
        r#""$a" talk "$friend:443" hello= 'read=\x16\x03'"#,
    ),
    case(
        "an allowed name at another allowed name's address",
        r#"shake "$("$a" own cdn.test):443" friend.test"#,
        FRIEND,
    ),
    case("a denied name at an allowed name's address", r#"shake "$friend:443" thief.test"#, FRIEND),
    case(
        "a denied name in another spelling",
        r#"shake "$GATEWAY:443" ThIeF.tEsT || shake "$GATEWAY:443" thief.test. || shake "$friend:443" thief.test."#,
        r#"shake "$GATEWAY:443" FrIeNd.TeSt"#,
    ),
    case(
        "a name with a zero byte",
        r#""$a" talk "$GATEWAY:443" 'hello=name=friend.test\0.thief.test' 'read=\x16\x03' || "$a" talk "$GATEWAY:443" 'hello=name=thief.test\0.friend.test' 'read=\x16\x03'"#,
        HANDSHAKE,
    ),
    case(
        "two names in one list",
        r#""$a" talk "$GATEWAY:443" hello=name=friend.test,name=thief.test 'read=\x16\x03'"#,
        HANDSHAKE,
    ),
    case(
        "two lists of names",
        r#""$a" talk "$GATEWAY:443" hello=name=friend.test,again=thief.test 'read=\x16\x03'"#,
        HANDSHAKE,
    ),
    case("an empty name", r#""$a" talk "$GATEWAY:443" hello=name= 'read=\x16\x03'"#, HANDSHAKE),
    case(
        "an address with a zone as the name",
        r#"shake "$GATEWAY:443" "[::ffff:$THIEF]" || shake "$GATEWAY:443" 'fe80::1%eth0' || shake "$GATEWAY:443" "$(decimal "$THIEF")""#,
        HANDSHAKE,
    ),
    case(
        "a denied name in pieces",
        r#""$a" talk "$GATEWAY:443" hello=name=thief.test,split=40 'read=\x16\x03' || "$a" talk "$GATEWAY:443" hello=name=thief.test,split=1 'read=\x16\x03'"#,
        r#""$a" talk "$GATEWAY:443" hello=name=friend.test,split=40 'read=\x16\x03'"#,
    ),
    case(
        "an encrypted message with an allowed name outside",
        r#""$a" talk "$GATEWAY:443" hello=name=friend.test,encrypted 'read=\x16\x03' || "$a" talk "$friend:443" hello=name=friend.test,encrypted 'read=\x16\x03'"#,
        HANDSHAKE,
    ),
    case(
        "an encrypted message in pieces",
        r#""$a" talk "$friend:443" hello=name=friend.test,encrypted,split=60 'read=\x16\x03'"#,
        r#""$a" talk "$friend:443" hello=name=friend.test,split=60 'read=\x16\x03'"#,
    ),
    case(
        "an old message with a denied name",
        r#""$a" talk "$GATEWAY:443" hello=old,name=thief.test 'read=\x16\x03'"#,
        HANDSHAKE,
    ),
    case(
        "the message of SSL 2",
        r#""$a" talk "$friend:443" hello=ancient 'read=\x16\x03' || "$a" talk "$friend:443" hello=ancient 'read=\x15\x03\x01\x00\x02\x02\x28'"#,
        FRIEND,
    ),
    case(
        "a message that is longer than any",
        r#""$a" talk "$GATEWAY:443" hello=name=thief.test,padded=60000 'read=\x16\x03' || "$a" talk "$friend:443" 'send=\x16\x03\x01\xff\xff\x01\x00\xff\xfb\x03\x03\{65000*a}' 'read=\x16\x03'"#,
        r#""$a" talk "$GATEWAY:443" hello=name=friend.test,padded=2000 'read=\x16\x03'"#,
    ),
    case(
        "a message that comes byte by byte and never ends",
        r#"timeout 4 "$a" talk "$friend:443" 'drip=50:\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\{400*a}' 'read=\x16\x03'"#,
        FRIEND,
    ),
    case(
        "other bytes where TLS is spoken",
        r#""$a" talk "$friend:443" 'send=\{300*steal}\r\n\r\n' read=internet || "$a" talk "$GATEWAY:443" 'send=SSH-2.0-steal\r\n' read=internet"#,
        r#"reach_echo "$("$a" own echo.test):7000""#,
    ),
    case(
        "plain HTTP where TLS is spoken, to a denied host",
        r#""$a" talk "$GATEWAY:443" 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet || "$a" talk "$friend:443" 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        FRIEND,
    ),
    case(
        "TLS where plain HTTP is spoken, to a denied name",
        r#"shake "$GATEWAY:80" thief.test || shake "$friend:80" thief.test"#,
        r#"shake "$GATEWAY:443" friend.test"#,
    ),
    case(
        "TLS to an allowed name on a port that no rule names",
        r#"shake "$GATEWAY:8443" friend.test || shake "$friend:8443" friend.test"#,
        FRIEND,
    ),
    case(
        "a tunnel to an allowed name with a denied one inside",
        r#""$a" talk "$GATEWAY:3128" "send=CONNECT friend.test:443 HTTP/1.1\r\nHost: friend.test:443\r\n\r\n" "read= 200" hello=name=thief.test 'read=\x16\x03'"#,
        r#""$a" talk "$GATEWAY:3128" "send=CONNECT friend.test:443 HTTP/1.1\r\nHost: friend.test:443\r\n\r\n" "read= 200" hello=name=friend.test 'read=\x16\x03'"#,
    ),
    case(
        "a tunnel to a denied name with an allowed one inside",
        r#""$a" talk "$GATEWAY:3128" "send=CONNECT thief.test:443 HTTP/1.1\r\nHost: friend.test:443\r\n\r\n" "read= 200" hello=name=friend.test 'read=\x16\x03'"#,
        r#""$a" talk "$GATEWAY:3128" "send=CONNECT friend.test:443 HTTP/1.1\r\nHost: thief.test:443\r\n\r\n" "read= 200" hello=name=friend.test 'read=\x16\x03' || tunnel friend.test:443"#,
    ),
    case(
        "a tunnel to an allowed name without TLS in it",
        r#""$a" talk "$GATEWAY:3128" "send=CONNECT friend.test:443 HTTP/1.1\r\nHost: friend.test:443\r\n\r\n" "read= 200" 'send=GET / HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        r#"tunnel friend.test:443"#,
    ),
    case(
        "a tenant behind an allowed server, whose TLS is opened",
        r#"browse --connect-to tenant.test:443:cdn.test:443 -H 'Host: tenant.test' https://cdn.test/ | grep -q '"internet":"tenant.test"'"#,
        r#"browse https://cdn.test/ | grep -q '"internet":"cdn.test"'"#,
    ),
    case(
        "a tenant behind an allowed server, on the second request",
        r#"browse -H 'Host: cdn.test' https://cdn.test/ --next -sS -m 5 -H 'Host: tenant.test' https://cdn.test/ | grep -q '"internet":"tenant.test"'"#,
        r#"browse https://cdn.test/one --next -sS -m 5 https://cdn.test/two | grep -q '"uri":"/two"'"#,
    ),
    case(
        "a tenant behind an allowed server, by its own name",
        r#"browse -k https://tenant.test/ --connect-to tenant.test:443:cdn.test:443 | grep -q internet"#,
        r#"browse https://cdn.test/ | grep -q internet"#,
    ),
    case(
        "a method that no rule allows, in TLS",
        r#"browse -X POST -d secret https://api.test/allowed/x | grep -q internet || browse -X DELETE https://api.test/allowed/x | grep -q internet"#,
        r#"browse https://api.test/allowed/x | grep -q internet"#,
    ),
    case(
        "a path that no rule allows, in TLS",
        r#"browse https://api.test/secret | grep -q internet || browse https://api.test/ | grep -q internet"#,
        r#"browse https://api.test/allowed/x | grep -q internet"#,
    ),
    case(
        "a path that is made to look like one that is allowed",
        r#"for path in /allowed/../secret /allowed/%2e%2e/secret /allowed/..%2fsecret //allowed/../secret '/allowed/..;/secret' '/allowed/%252e%252e/secret' '/x/../secret?/allowed/' '/secret#/allowed/'; do
               browse --path-as-is "https://api.test$path" | grep '"internet"' | grep -q secret && exit 0
           done; false"#,
        r#"browse https://api.test/allowed/deep/er?secret=no | grep -q internet"#,
    ),
    case(
        "a method named by a header",
        r#"browse -H 'X-HTTP-Method-Override: DELETE' -X POST https://api.test/allowed/x | grep -q internet"#,
        r#"browse -H 'X-HTTP-Method-Override: GET' https://api.test/allowed/x | grep -q internet"#,
    ),
    case(
        "HTTP/2 to a host whose requests are judged",
        r#"browse --http2-prior-knowledge http://api.test/secret | grep -q internet || browse --http2 https://api.test/secret | grep -q internet"#,
        r#"browse --http2 https://api.test/allowed/x | grep -q internet"#,
    ),
    case(
        "a server that has no certificate for the name",
        r#"browse -k https://cdn.test:8443/ | grep -q internet"#,
        r#"browse https://cdn.test/ | grep -q internet"#,
    ),
];
