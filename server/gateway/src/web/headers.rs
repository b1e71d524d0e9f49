//! Headers that belong to one connection and are not sent on.

use hyper::header::{
    CONNECTION, EXPECT, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

/// Of one connection whatever `Connection` says (RFC 9110, section 7.6.1).
const OF_ONE: [HeaderName; 4] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("http2-settings"),
];

/// Takes away what belongs to the connection only. An upgrade that is asked for or agreed to stays when `keeps_upgrade`.
pub fn clean(headers: &mut HeaderMap, keeps_upgrade: bool) {
    let upgrade = upgrade(headers).filter(|_| keeps_upgrade).cloned();
    let wants_trailers = tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    let listed: Vec<HeaderName> =
        tokens(headers, &CONNECTION).filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok()).collect();
    for name in listed.iter().chain(&OF_ONE).chain([&CONNECTION, &TE, &TRANSFER_ENCODING, &UPGRADE]) {
        headers.remove(name);
    }
    let mut connection = Vec::new();
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        connection.push("te");
    }
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
        connection.push("upgrade");
    }
    if let Ok(value) = HeaderValue::from_str(&connection.join(", "))
        && !connection.is_empty()
    {
        headers.insert(CONNECTION, value);
    }
}

/// Takes away what a request says to this gateway only. It is never waited with a body, so nobody needs to expect that.
pub fn clean_request(headers: &mut HeaderMap) {
    clean(headers, true);
    headers.remove(PROXY_AUTHORIZATION);
    headers.remove(EXPECT);
}

/// Lets a connection change to a protocol of messages only: in any other one, requests could hide.
pub fn only_websocket(headers: &mut HeaderMap) {
    let is_other = headers.get(UPGRADE).is_some_and(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if is_other {
        headers.remove(UPGRADE);
        match headers.contains_key(TE) {
            true => headers.insert(CONNECTION, HeaderValue::from_static("te")),
            false => headers.remove(CONNECTION),
        };
    }
}

/// The protocol that the connection is to change to. To HTTP/2 it must not: requests in it would not be seen.
fn upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_asked = tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let is_hidden = tokens(headers, &UPGRADE).any(|token| {
        let protocol = token.split('/').next().unwrap_or(token);
        ["h2c", "h2", "http", "tls"].iter().any(|hidden| protocol.eq_ignore_ascii_case(hidden))
    });
    if !is_asked || is_hidden || headers.get_all(UPGRADE).iter().count() != 1 {
        return None;
    }
    headers.get(UPGRADE)
}

/// The parts of a header that is a list, however many lines it has.
pub(crate) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(list: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        clean_request(&mut headers);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        left.sort();
        left
    }

    #[test]
    fn what_belongs_to_the_connection_stays_here() {
        let headers = [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("x-theirs", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("upgrade", "websocket"),
        ];
        assert_eq!(cleaned(&headers), ["connection: te", "te: trailers", "x-theirs: 2"]);
    }

    #[test]
    fn only_to_messages_where_requests_must_be_seen() {
        let left = |protocol, te: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("connection", "upgrade, te"), ("upgrade", protocol)].iter().chain(te) {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            clean_request(&mut headers);
            only_websocket(&mut headers);
            let one = |name| headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
            [one(CONNECTION), one(UPGRADE)]
        };
        assert_eq!(left("WebSocket", &[]), ["upgrade", "WebSocket"]);
        assert_eq!(left("other/1", &[]), ["", ""]);
        assert_eq!(left("other/1", &[("te", "trailers")]), ["te", ""]);
    }

    #[test]
    fn upgrades_are_sent_on_except_those_that_hide_requests() {
        let upgrade = |protocol| cleaned(&[("connection", "keep-alive, Upgrade"), ("upgrade", protocol)]);
        assert_eq!(upgrade("websocket"), ["connection: upgrade", "upgrade: websocket"]);
        for hidden in ["h2c", "websocket, H2C", "HTTP/2.0", "TLS/1.2"] {
            assert_eq!(upgrade(hidden), [""; 0], "{hidden}");
        }
    }
}
