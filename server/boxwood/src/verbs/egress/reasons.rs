//! Why a connection was refused by no rule, as a person reads it beside the host.

/// A reason in plain words; the gateway has them as words for programs.
pub(super) fn why(reason: &str) -> String {
    let words = match reason {
        "answered" => "you said no",
        "bad-host" => "it is neither a name nor an address",
        "bad-request" => "the request can be read in two ways",
        "bypass-began" => "the bypass began",
        "bypass-ended" => "the bypass ended",
        "credentials-exposed" => "the credentials put on it would be shown on the way",
        "credentials-unseen" => "credentials are put on its requests, and these cannot be seen",
        "encrypted-hello" => "the program hides the host's name",
        "given-up" => "the program gave up before you answered",
        "http2-in-clear" => "HTTP/2 without TLS cannot be judged",
        "lookup-failed" => "allowed, but nobody says where the name leads",
        "malformed-hello" => "its first TLS message cannot be read",
        "name-mismatch" => "the connection was made for another host",
        "never-allowed" => "no policy can allow it",
        "no-authority" => "its TLS cannot be opened here",
        "no-name" => "it does not say which host it is for",
        "no-policy" => "the gateway has no policy yet",
        "not-found" => "allowed, but the name leads nowhere",
        "private-address" => "a private address, and no rule allows that",
        "revoked" => "cut, it is no longer allowed",
        "timeout" => "nobody answered in time",
        "too-fast" => "connections come too fast",
        "too-many-connections" => "too many connections are open",
        "too-many-waiting" => "too many wait for an answer already",
        "unknown-protocol" => "it is neither TLS nor HTTP",
        "unreachable" => "allowed, but nobody answers there",
        "upload-limit" => "it sent more than one connection may",
        // Of a later gateway.
        other => return other.replace('-', " "),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::why;

    /// Where the gateway has its reasons.
    const GATEWAY: &str = include_str!("../../../../gateway/src/reasons.rs");

    #[test]
    fn every_reason_of_the_gateway_has_words() {
        let reasons: Vec<&str> = GATEWAY
            .lines()
            .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>").map(|(reason, _)| reason))
            .collect();
        assert!(reasons.len() > 10, "{reasons:?}");
        for reason in reasons.into_iter().chain(["answered", "revoked", "bypass-began", "bypass-ended"]) {
            assert_ne!(why(reason), reason.replace('-', " "), "{reason}");
        }
        assert_eq!(why("some-later-one"), "some later one");
    }
}
