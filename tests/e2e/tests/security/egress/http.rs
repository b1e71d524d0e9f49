//! HTTP in the clear: hosts that are not the connection's, requests within requests, heads without end.

use super::case::{Case, case};

const FRIEND: &str = r#"web "$friend" friend.test"#;
const TWO: &str = r#"http "$friend" 'GET /one HTTP/1.1\r\nHost: friend.test\r\n\r\nGET /two HTTP/1.1\r\nHost: friend.test\r\n\r\n' '"uri":"/two"'"#;

pub(super) const CASES: &[Case] = &[
    case("a denied host at an allowed host's address", r#"web "$friend" thief.test"#, FRIEND),
    case("a denied host at the gateway's address", r#"web "$GATEWAY" thief.test"#, r#"web "$GATEWAY" friend.test"#),
    case(
        "an allowed host at another allowed host's address",
        r#"web "$("$a" own any.wild.test)" friend.test"#,
        r#"web "$("$a" own any.wild.test)" any.wild.test"#,
    ),
    case(
        "a denied host in the request's line",
        r#"http "$friend" 'GET http://thief.test/ HTTP/1.1\r\nHost: friend.test\r\n\r\n' '"internet":"thief.test"' || http "$friend" 'GET http://thief.test/ HTTP/1.1\r\nHost: thief.test\r\n\r\n' internet"#,
        FRIEND,
    ),
    case(
        "a denied host below an allowed one in the request's line",
        r#"http "$friend" 'GET http://friend.test/ HTTP/1.1\r\nHost: thief.test\r\n\r\n' '"internet":"thief.test"'"#,
        FRIEND,
    ),
    case(
        "two hosts",
        r#"http "$friend" 'GET / HTTP/1.1\r\nHost: friend.test\r\nHost: thief.test\r\n\r\n' internet || http "$friend" 'GET / HTTP/1.1\r\nHost: thief.test\r\nHost: friend.test\r\n\r\n' internet"#,
        FRIEND,
    ),
    case(
        "no host",
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\n\r\n' internet || http "$GATEWAY" 'GET / HTTP/1.0\r\n\r\n' internet || http "$GATEWAY" 'GET / HTTP/1.1\r\nHost:\r\n\r\n' internet"#,
        FRIEND,
    ),
    case(
        "a host in a folded line",
        r#"http "$friend" 'GET / HTTP/1.1\r\nHost: friend.test\r\n .thief.test\r\n\r\n' internet || http "$friend" 'GET / HTTP/1.1\r\nX: y\r\n Host: thief.test\r\nHost : thief.test\r\nHost: friend.test\r\n\r\n' '"internet":"thief.test"'"#,
        FRIEND,
    ),
    case(
        "a host with another in it",
        r#"for host in 'friend.test@thief.test' 'thief.test#friend.test' 'thief.test/friend.test' 'friend.test:80@thief.test' 'thief.test?friend.test' 'thief.test\\friend.test' 'friend.test,thief.test' 'friend.test thief.test'; do
               http "$GATEWAY" "GET / HTTP/1.1\r\nHost: $host\r\n\r\n" internet && exit 0; done; false"#,
        r#"web "$GATEWAY" friend.test"#,
    ),
    case(
        "a host in percent notation",
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: %74hief.test\r\n\r\n' internet || http "$GATEWAY" 'GET http://%74hief.test/ HTTP/1.1\r\nHost: friend.test\r\n\r\n' '"internet":"thief.test"'"#,
        r#"web "$GATEWAY" friend.test"#,
    ),
    case(
        "a host with a zero byte or a line's end",
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: friend.test\0.thief.test\r\n\r\n' internet || http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: thief.test\0friend.test\r\n\r\n' internet || http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: friend.test\rHost: thief.test\r\n\r\n' '"internet":"thief.test"'"#,
        r#"web "$GATEWAY" friend.test"#,
    ),
    case(
        "a host with a port that no rule names",
        r#"web "$GATEWAY" friend.test:22 || web "$GATEWAY" friend.test:8443 || web "$GATEWAY" friend.test:0 || web "$GATEWAY" friend.test:99999"#,
        r#"web "$GATEWAY" friend.test:80"#,
    ),
    case(
        "a second request to another host on the same connection",
        r#"http "$GATEWAY" 'GET /one HTTP/1.1\r\nHost: friend.test\r\n\r\nGET /two HTTP/1.1\r\nHost: thief.test\r\n\r\n' '"uri":"/two"' || http "$friend" 'GET /one HTTP/1.1\r\nHost: friend.test\r\n\r\nGET /two HTTP/1.1\r\nHost: thief.test\r\n\r\n' '"uri":"/two"'"#,
        TWO,
    ),
    case(
        "a second request after the answer to the first",
        r#""$a" talk "$friend:80" 'send=GET /one HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=internet 'send=GET /two HTTP/1.1\r\nHost: thief.test\r\n\r\n' read=internet"#,
        r#""$a" talk "$friend:80" 'send=GET /one HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=/one 'send=GET /two HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=/two"#,
    ),
    case(
        "a request within a body, by length and by pieces",
        r#"http "$friend" 'POST /up HTTP/1.1\r\nHost: friend.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /stolen HTTP/1.1\r\nHost: thief.test\r\n\r\n' stolen"#,
        TWO,
    ),
    case(
        "a request within a body, by pieces and by length",
        r#"http "$friend" 'POST /up HTTP/1.1\r\nHost: friend.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGET /stolen HTTP/1.1\r\nHost: thief.test\r\n\r\n0\r\n\r\n' stolen"#,
        TWO,
    ),
    case(
        "a request within a body of two lengths",
        r#"http "$friend" 'POST /up HTTP/1.1\r\nHost: friend.test\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\nGET /stolen HTTP/1.1\r\nHost: thief.test\r\n\r\n' stolen"#,
        TWO,
    ),
    case(
        "a request within a body of a strange encoding",
        r#"for te in 'xchunked' 'chunked, identity' '\x0bchunked' 'chunked\r\nTransfer-Encoding: x' ' chunked' '"chunked"'; do
               http "$friend" "POST /up HTTP/1.1\r\nHost: friend.test\r\nContent-Length: 5\r\nTransfer-Encoding: $te\r\n\r\n0\r\n\r\nGET /stolen HTTP/1.1\r\nHost: thief.test\r\n\r\n" stolen && exit 0
           done; false"#,
        TWO,
    ),
    case(
        "a request within the extension of a piece",
        r#"http "$friend" 'POST /up HTTP/1.1\r\nHost: friend.test\r\nTransfer-Encoding: chunked\r\n\r\n1;\nGET /stolen HTTP/1.1\nHost: thief.test\n\n\r\na\r\n0\r\n\r\n' stolen || http "$friend" 'POST /up HTTP/1.1\r\nHost: friend.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: thief.test\r\nX: stolen\r\n\r\n' stolen"#,
        TWO,
    ),
    case(
        "a request with bare line ends",
        r#"http "$GATEWAY" 'GET / HTTP/1.1\nHost: thief.test\n\n' internet || http "$friend" 'GET /one HTTP/1.1\r\nHost: friend.test\r\nX: y\n\nGET /stolen HTTP/1.1\nHost: thief.test\n\n\r\n' stolen"#,
        FRIEND,
    ),
    case(
        "HTTP/0.9 and unheard-of versions",
        r#"http "$GATEWAY" 'GET http://thief.test/\r\n' internet || http "$friend" 'GET /stolen HTTP/9.9\r\nHost: thief.test\r\n\r\n' internet"#,
        FRIEND,
    ),
    case(
        "HTTP/2 without asking",
        r#"http "$friend" 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0' '\0\0\0\x04' || browse --http2-prior-knowledge -H 'Host: thief.test' http://friend.test/ | grep -q internet"#,
        FRIEND,
    ),
    case(
        "an upgrade to HTTP/2 or to TLS, with another request behind it",
        r#"http "$friend" 'GET / HTTP/1.1\r\nHost: friend.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nGET /stolen HTTP/1.1\r\nHost: thief.test\r\n\r\n' stolen"#,
        TWO,
    ),
    case(
        "an upgrade that the server does not take, with another request behind it",
        r#"http "$friend" 'GET / HTTP/1.1\r\nHost: friend.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /stolen HTTP/1.1\r\nHost: thief.test\r\n\r\n' stolen"#,
        TWO,
    ),
    case(
        "a head that is larger than any",
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: friend.test\r\nX: \{2000000*a}\r\nHost: thief.test\r\n\r\n' internet"#,
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: friend.test\r\nX: \{4000*a}\r\n\r\n' internet"#,
    ),
    case(
        "more headers than any",
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: friend.test\r\n\{5000*X: y\r\n}Host: thief.test\r\n\r\n' internet"#,
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: friend.test\r\n\{30*X: y\r\n}\r\n' internet"#,
    ),
    case(
        "a head that comes byte by byte and never ends",
        r#"timeout 4 "$a" talk "$GATEWAY:80" 'drip=40:GET / HTTP/1.1\r\nX: \{300*a}\r\n' read=internet"#,
        r#""$a" talk "$GATEWAY:80" 'drip=1:GET / HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=internet"#,
    ),
    case(
        "a redirect to a denied host",
        r#"browse -L "http://friend.test/redirect?to=http%3A%2F%2Fthief.test%2F" | grep -q '"internet":"thief.test"'"#,
        r#"browse -L "http://friend.test/redirect?to=http%3A%2F%2Fany.wild.test%2F" | grep -q '"internet":"any.wild.test"'"#,
    ),
    case(
        "a redirect to the gateway itself, to the host and to metadata",
        r#"for to in "http://$GATEWAY:3128/" http://169.254.169.254/ "http://127.0.0.1:$HOST_PORT/"; do browse -L "http://friend.test/redirect?to=$to" | grep -qE 'internet|host' & all+=($!); done; won"#,
        r#"browse -L "http://friend.test/redirect?to=http%3A%2F%2Ffriend.test%2F" | grep -q internet"#,
    ),
    case(
        "headers that name another host for a server behind",
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: thief.test\r\nX-Forwarded-Host: friend.test\r\nForwarded: host=friend.test\r\nX-Original-URL: http://friend.test/\r\n\r\n' internet"#,
        r#"http "$GATEWAY" 'GET / HTTP/1.1\r\nHost: friend.test\r\nX-Forwarded-Host: thief.test\r\n\r\n' '"internet":"friend.test"'"#,
    ),
    case(
        "a host that is a connection's own header",
        r#"http "$friend" 'GET / HTTP/1.1\r\nHost: friend.test\r\nConnection: Host\r\n\r\n' '"internet":""' || http "$friend" 'GET / HTTP/1.1\r\nConnection: close, Host\r\nHost: thief.test\r\n\r\n' internet"#,
        FRIEND,
    ),
];
