//! What a sandbox asks a credential for, read without trust.
//!
//! Git's helpers speak in lines of `key=value`. A line break that slips into a value makes two lines of one, and the second
//! may name another host than the person was asked about; so nothing is repaired here, and what is odd is refused.

use core::fmt;

use crate::egress::Host;

/// Longest path that is passed on.
const LONGEST_PATH: usize = 2048;

/// What a credential is asked for: always over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    /// In its normal form.
    pub host: Host,
    /// 443 unless it was named.
    pub port: u16,
    /// Path of the repository, where git says it.
    pub path: Option<String>,
}

/// Why nothing is asked for. Reads after "no credential:".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not over HTTPS.
    #[error("only https has credentials of this machine")]
    Protocol,
    /// The host is none.
    #[error("the host is not one: {0}")]
    Host(String),
    /// The path has characters that no path has.
    #[error("the path is not one")]
    Path,
}

impl Request {
    /// Reads the attributes that git gives to a helper.
    ///
    /// # Errors
    /// When one of them is not what it may be.
    pub fn new(protocol: &str, host: &str, path: Option<&str>) -> Result<Self, RequestError> {
        if protocol != "https" {
            return Err(RequestError::Protocol);
        }
        let (host, port) = place(host)?;
        let path = path.filter(|path| !path.is_empty());
        let is_plain =
            |path: &&str| path.len() <= LONGEST_PATH && !path.chars().any(|c| c.is_control() || c == '\u{fffd}');
        if path.is_some_and(|path| !is_plain(&path)) {
            return Err(RequestError::Path);
        }
        Ok(Self { host, port, path: path.map(str::to_owned) })
    }

    /// The host, with its port where that is not the usual one: what approvals are about.
    #[must_use]
    pub fn place(&self) -> String {
        Place(self).to_string()
    }

    /// The lines that the person's own git is asked with.
    #[must_use]
    pub fn lines(&self) -> String {
        let path = self.path.as_ref().map(|path| format!("path={path}\n")).unwrap_or_default();
        format!("protocol=https\nhost={}\n{path}\n", self.place())
    }
}

/// Reads `host` or `host:port` as a person or git writes it.
///
/// # Errors
/// When it is neither.
pub fn place(text: &str) -> Result<(Host, u16), RequestError> {
    let refuse = |why: &str| RequestError::Host(why.to_owned());
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| is_number && *port != 0);
            (host, port.ok_or_else(|| refuse("its port is not a number"))?)
        }
        _ => (text, 443),
    };
    let parsed = Host::parse(host).map_err(|cause| refuse(&cause.to_string()))?;
    Ok((parsed, port))
}

struct Place<'a>(&'a Request);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.host {
            Host::Address(core::net::IpAddr::V6(address)) => write!(f, "[{address}]")?,
            other => write!(f, "{other}")?,
        }
        if self.0.port == 443 { Ok(()) } else { write!(f, ":{}", self.0.port) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(host: &str, path: Option<&str>) -> Result<String, RequestError> {
        Request::new("https", host, path).map(|request| request.lines())
    }

    #[test]
    fn what_is_asked_is_what_the_persons_git_is_asked() {
        let check = |host: &str, path: Option<&str>, expected: &str| {
            assert_eq!(ask(host, path).as_deref(), Ok(expected), "{host} {path:?}");
        };
        check("example.com", None, "protocol=https\nhost=example.com\n\n");
        check("Example.COM.", Some(""), "protocol=https\nhost=example.com\n\n");
        check("example.com:8443", Some("a/b.git"), "protocol=https\nhost=example.com:8443\npath=a/b.git\n\n");
        check("example.com:443", None, "protocol=https\nhost=example.com\n\n");
        check("[::1]:8443", None, "protocol=https\nhost=[::1]:8443\n\n");
    }

    #[test]
    fn line_breaks_and_their_like_are_refused_wherever_they_stand() {
        for odd in ["\n", "\r", "\0", "\r\n", "\nhost=other.example", "%0a\nx", "\u{85}"] {
            assert!(ask(&format!("example.com{odd}"), None).is_err(), "{odd:?}");
            assert!(ask(&format!("{odd}example.com"), None).is_err(), "{odd:?}");
            assert_eq!(ask("example.com", Some(&format!("a{odd}b"))), Err(RequestError::Path), "{odd:?}");
        }
    }

    #[test]
    fn other_protocols_and_empty_hosts_are_refused() {
        for protocol in ["http", "ssh", "", "HTTPS", "https\nhost=x", "cert"] {
            assert_eq!(Request::new(protocol, "example.com", None), Err(RequestError::Protocol), "{protocol:?}");
        }
        for host in
            ["", ":443", "example.com:", "example.com:0", "example.com:+1", "example.com:99999", "a@b", "a/b", "*"]
        {
            assert!(matches!(ask(host, None), Err(RequestError::Host(_))), "{host:?}");
        }
        assert_eq!(ask("example.com", Some(&"x".repeat(LONGEST_PATH + 1))), Err(RequestError::Path));
    }

    proptest! {
        /// Whatever is asked, the person's git reads one protocol, one host, at most one path, and an end.
        #[test]
        fn no_request_makes_further_lines(host in "\\PC{0,40}|[a-z.:\\n\\r\\x00]{0,20}", path in ".{0,40}") {
            if let Ok(lines) = ask(&host, Some(&path)) {
                let names: Vec<_> = lines.split('\n').map(|line| line.split('=').next().unwrap_or_default()).collect();
                prop_assert!(
                    names == ["protocol", "host", "", ""] || names == ["protocol", "host", "path", "", ""],
                    "{lines:?}"
                );
                prop_assert!(!lines.contains(['\r', '\0']));
            }
        }
    }
}
