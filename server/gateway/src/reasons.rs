//! Why things are refused by no rule, or not reached: the words of the log, and what they mean.

/// A reason in plain words.
#[must_use]
pub fn explain(reason: &str) -> &'static str {
    match reason {
        "no-policy" => "refused: the gateway has no policy yet",
        "private-address" => "refused: the name leads to a private address, and no rule says that it may",
        "never-allowed" => "refused: no policy can allow it: it stands for the gateway itself or for no single host",
        "name-mismatch" => "refused: the connection was made for another host",
        "encrypted-hello" => "refused: the client hides the host's name from the gateway",
        "malformed-hello" => "refused: the client's first TLS message cannot be read without doubt",
        "no-name" => "refused: the connection does not say which host it is for",
        "unknown-protocol" => "refused: it is neither TLS nor HTTP, and this port is for nothing else",
        "no-authority" => "refused: its TLS would have to be opened, and this sandbox has no authority for that",
        "timeout" => "refused: nobody answered in time",
        "too-many-waiting" => "refused: too many connections wait for an answer already",
        "given-up" => "refused: the client closed the connection while it waited",
        "too-many-connections" => "refused: too many connections are open",
        "too-fast" => "refused: new connections come too fast",
        "upload-limit" => "refused: it sent more than one connection may",
        "bad-host" => "refused: its host is neither a name nor an address",
        "http2-in-clear" => "refused: HTTP/2 without TLS cannot be judged request by request",
        "bad-request" => "refused: the request can be read in more than one way",
        "credentials-unseen" => "refused: credentials are put on requests to it, and these requests could not be seen",
        "credentials-exposed" => "refused: the credentials that are put on requests to it would be shown on the way",
        "not-found" => "allowed, and the name leads nowhere",
        "lookup-failed" => "allowed, and nobody says where the name leads",
        "unreachable" => "allowed, and nobody answers there",
        _ => "refused by the gateway",
    }
}
