//! Credentials in the query of a request: some APIs take them there as well as in a header.

/// Names under which the APIs that credentials are for take one, or say whose account pays, in the form of [`plain`].
/// Google's take `key`, `access_token`, `oauth_token` and `$userProject`, and whole headers in `$httpHeaders`; gateways in
/// front of APIs that speak like Anthropic's take the others.
const NAMES: [&str; 10] = [
    "accesstoken",
    "apikey",
    "authtoken",
    "bearertoken",
    "httpheaders",
    "key",
    "oauthtoken",
    "subscriptionkey",
    "token",
    "userproject",
];
/// What Amazon's signatures begin with: one that is left in part is one that fails.
const SIGNATURE: &str = "xamz";

/// What of a name makes the difference to some server: `$api_key`, `Api-Key` and `apiKey[]` are the same.
pub(super) fn plain(name: &str) -> String {
    let until_bracket = name.split('[').next().unwrap_or_default();
    until_bracket.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The pairs of a query, each with the sign that it ends with. Some servers end one at `;` too.
fn pairs(query: &str) -> impl Iterator<Item = &str> {
    query.split_inclusive(['&', ';'])
}

/// Path and query without what carries a credential under one of the known names, or of those of `headers`. All else stays
/// as it was, byte for byte. `None` when that is all of it.
pub(super) fn without_credentials(target: &str, headers: &[String]) -> Option<String> {
    let (path, query) = target.split_once('?')?;
    let carries = |pair: &&str| {
        let name = pair.trim_end_matches(['&', ';']).split('=').next().unwrap_or_default();
        let name = plain(&decoded(name));
        name.starts_with(SIGNATURE) || NAMES.contains(&name.as_str()) || headers.contains(&name)
    };
    if !pairs(query).any(|pair| carries(&pair)) {
        return None;
    }
    let mut kept: String = pairs(query).filter(|pair| !carries(pair)).collect();
    if !query.ends_with(['&', ';']) && kept.ends_with(['&', ';']) {
        // The last one went, and with it what it was set apart by.
        kept.pop();
    }
    Some(if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") })
}

/// A name as servers read it. What is not encoded rightly stays as it is.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let value = match (first, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn left(target: &str) -> String {
        let headers = ["xgoogapikey".to_owned(), "authorization".to_owned()];
        without_credentials(target, &headers).unwrap_or_else(|| target.to_owned())
    }

    #[test]
    fn what_carries_a_credential_goes_and_all_else_stays() {
        for (target, expected) in [
            ("/v1/messages?beta=true", "/v1/messages?beta=true"),
            ("/v1?key=x", "/v1"),
            ("/v1?key", "/v1"),
            ("/v1?key=x&beta=true", "/v1?beta=true"),
            ("/v1?beta=true&key=x", "/v1?beta=true"),
            ("/v1?beta=true&key=x&", "/v1?beta=true&"),
            ("/v1?a=1&key=x&b=2&KEY=y&c=%20+%c3%a4", "/v1?a=1&b=2&c=%20+%c3%a4"),
            ("/v1?a=1;access_token=x;b=2", "/v1?a=1;b=2"),
            ("/v1?&&key=x&&", "/v1?&&&"),
            ("/v1?key=x?a=1&b=2", "/v1?b=2"),
            ("/key=x/%3Fkey=x", "/key=x/%3Fkey=x"),
            ("*", "*"),
            ("/?", "/?"),
            ("/?&", "/?&"),
        ] {
            assert_eq!(left(target), expected, "{target}");
        }
    }

    #[test]
    fn names_count_in_every_form_that_some_server_takes() {
        for name in [
            "Key",
            "%6bey",
            "%4B%45%59",
            "%24key",
            "$key",
            "+key",
            "key[]",
            "key%5B0%5D",
            "api_key",
            "api-key",
            "apiKey",
            "API%5FKEY",
            "access_token",
            "oauth_token",
            "token",
            "Subscription-Key",
            "$userProject",
            "%24httpHeaders",
            "X-Goog-Api-Key",
            "authorization",
            "X-Amz-Algorithm",
            "x-amz-credential",
            "X%2DAmz%2DSignature",
            "X-Amz-Security-Token",
            "X-Amz-Date",
        ] {
            assert_eq!(left(&format!("/v1?a=1&{name}=attacker&b=2")), "/v1?a=1&b=2", "{name}");
        }
        for name in
            ["beta", "limit", "after_id", "page_token", "nextToken", "keys", "monkey", "alt", "%6zey", "%", "k%"]
        {
            let target = format!("/v1?{name}=stays&b=2");
            assert_eq!(left(&target), target);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_left_to_take_off_and_nothing_is_made(query in "[aky=&;%62e?_-]{0,24}") {
            let target = format!("/?{query}");
            let after = left(&target);
            prop_assert_eq!(&left(&after), &after);
            prop_assert!(after.parse::<hyper::Uri>().is_ok());
            let stays: Vec<&str> = after.split_once('?').map_or_else(Vec::new, |(_, query)| pairs(query).collect());
            let all: Vec<&str> = pairs(&query).collect();
            let mut rest = all.iter();
            let bare = |pair: &str| pair.trim_end_matches(['&', ';']).to_owned();
            prop_assert!(stays.iter().all(|kept| rest.any(|pair| bare(pair) == bare(kept))));
        }
    }
}
