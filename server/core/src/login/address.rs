//! The address at which the person signs in. It comes from inside a container and is opened on the host, so it is opened
//! only when it is surely one of Anthropic's.

use thiserror::Error;

/// Where people sign in.
const HOSTS: [&str; 5] =
    ["claude.com", "claude.ai", "platform.claude.com", "console.anthropic.com", "console.claude.com"];
/// Longest address that is taken.
const LONGEST: usize = 4096;

/// An address at which the person signs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: String,
    state: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest of it belongs to one sign-in and helps nobody in a log.
        f.write_str(self.url.split('?').next().unwrap_or_default())
    }
}

/// Why an address is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not `https`.
    #[error("the address to sign in at is not encrypted")]
    NotHttps,
    /// Another host than those at which people sign in.
    #[error("the address to sign in at is not one of Anthropic's")]
    Foreign,
    /// Characters that no address has, or too many.
    #[error("the address to sign in at is not well formed")]
    Malformed,
    /// It does not say which sign-in it belongs to.
    #[error("the address to sign in at does not say which sign-in it belongs to")]
    NoState,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When it must not be opened.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
        if url.len() > LONGEST || !url.bytes().all(is_plain) {
            return Err(AddressError::Malformed);
        }
        let rest = url.strip_prefix("https://").ok_or(AddressError::NotHttps)?;
        let (host, rest) = rest.split_once('/').ok_or(AddressError::Malformed)?;
        // The whole of it is compared: neither a user's name nor a port belongs there.
        if !HOSTS.contains(&host) {
            return Err(AddressError::Foreign);
        }
        let (_, query) = rest.split_once('?').ok_or(AddressError::NoState)?;
        let query = query.split('#').next().unwrap_or_default();
        let state = query.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap_or_default();
        if state.is_empty() {
            return Err(AddressError::NoState);
        }
        Ok(Self { url: url.to_owned(), state: state.to_owned() })
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// What tells this sign-in from others.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_anthropic_are_opened() {
        let query = "oauth/authorize?code=true&state=abc";
        for host in HOSTS {
            let address = Address::parse(&format!("https://{host}/{query}")).expect("an address");
            assert_eq!(address.state(), "abc");
            assert_eq!(format!("{address:?}"), format!("https://{host}/oauth/authorize"));
        }
        for (url, expected) in [
            (format!("http://claude.com/{query}"), AddressError::NotHttps),
            (format!("file:///{query}"), AddressError::NotHttps),
            (format!("https://claude.com.example.net/{query}"), AddressError::Foreign),
            (format!("https://example.net/claude.com/{query}"), AddressError::Foreign),
            (format!("https://claude.com@example.net/{query}"), AddressError::Foreign),
            (format!("https://me@claude.com/{query}"), AddressError::Foreign),
            (format!("https://claude.com:444/{query}"), AddressError::Foreign),
            (format!("https://CLAUDE.com/{query}"), AddressError::Foreign),
            (format!("https://evil.claude.com/{query}"), AddressError::Foreign),
            (format!("https://claude.com\\@example.net/{query}"), AddressError::Malformed),
            (format!("https://claude.com/{query}\" --flag"), AddressError::Malformed),
            (format!("https://claude.com/{query}\u{7}"), AddressError::Malformed),
            (format!("https://claude.com/{query}{}", "a".repeat(5000)), AddressError::Malformed),
            ("https://claude.com".to_owned(), AddressError::Malformed),
            ("https://claude.com/oauth/authorize".to_owned(), AddressError::NoState),
            ("https://claude.com/oauth/authorize?state=".to_owned(), AddressError::NoState),
            ("https://claude.com/oauth/authorize?a=b#&state=abc".to_owned(), AddressError::NoState),
            ("https://claude.com/oauth/authorize?mystate=abc".to_owned(), AddressError::NoState),
        ] {
            assert_eq!(Address::parse(&url), Err(expected), "{url}");
        }
    }
}
