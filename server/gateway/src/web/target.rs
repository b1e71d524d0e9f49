//! Where a request wants to go: every place that says so is read, and all must say the same.

use boxwood_core::egress::Host;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, Uri, Version};

/// What the connection that a request came on is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// HTTP in the clear, made to a host when its address says so.
    Clear {
        /// The host.
        host: Option<Host>,
        /// The port.
        port: u16,
    },
    /// TLS that was opened.
    Opened {
        /// The host whose certificate was shown.
        host: Host,
        /// The port.
        port: u16,
    },
    /// The proxy.
    Proxy,
}

/// Where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// The host as it is sent on: in its normal form, with a port when the client gave one.
    pub authority: String,
    /// Path and query, as they came.
    pub path: String,
}

/// Why a request goes nowhere. The texts are for the client, after "refused: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No host anywhere.
    #[error("the request does not say which host it is for")]
    NoHost,
    /// Several, or one that is none.
    #[error("the request must name exactly one host, as a name or an address")]
    BadHost,
    /// Two places name two hosts.
    #[error("the request names another host in its target than in its Host header")]
    Conflict,
    /// Another host than the connection's. Holds that host.
    #[error("the request is for another host than the connection")]
    Mismatch(String),
    /// Not a path, or another scheme's.
    #[error("the request's target must be a path, or through the proxy a whole address that starts with http://")]
    BadTarget,
    /// Its length can be read in two ways.
    #[error("the request's length is not clear")]
    Length,
}

/// Reads a host with or without a port, as it stands in `Host` and in front of a path.
#[must_use]
pub fn authority(text: &str) -> Option<(Host, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(end) => text.split_at(end + 2),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        _ => return None,
    };
    Some((Host::parse(host).ok()?, port))
}

/// Where a request wants to go.
///
/// # Errors
/// When that is not said, said twice and differently, or not where the connection goes.
pub fn read<B>(request: &Request<B>, place: &Place) -> Result<Target, TargetError> {
    check_length(request.headers())?;
    let named = host_header(request.headers(), request.version())?;
    let default = if matches!(place, Place::Opened { .. }) { 443 } else { 80 };
    let (uri, method) = (request.uri(), request.method());
    let in_target = absolute(uri, place)?;
    let is_plain = uri.path().starts_with('/') || (uri.path() == "*" && method == Method::OPTIONS);
    if method == Method::CONNECT || !is_plain {
        return Err(TargetError::BadTarget);
    }
    if let (Some((host, port)), Some((other, at))) = (&in_target, &named)
        && (host != other || port.unwrap_or(default) != at.unwrap_or(default))
    {
        return Err(TargetError::Conflict);
    }
    let given = in_target.or(named);
    let given_port = given.as_ref().and_then(|(_, port)| *port);
    let (host, port) = match (place, given) {
        (Place::Proxy, Some((host, port))) => (host, port.unwrap_or(default)),
        (Place::Clear { host: None, port }, Some((host, given))) => (same_port(host, given, *port)?, *port),
        (Place::Clear { host: Some(host), port } | Place::Opened { host, port }, given) => {
            let named = given.map_or_else(|| Ok(host.clone()), |(named, given)| same_port(named, given, *port))?;
            if named != *host {
                return Err(TargetError::Mismatch(named.to_string()));
            }
            (named, *port)
        }
        (Place::Proxy | Place::Clear { .. }, None) => return Err(TargetError::NoHost),
    };
    let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let shown = match &host {
        Host::Address(std::net::IpAddr::V6(six)) => format!("[{six}]"),
        host => host.to_string(),
    };
    let authority = given_port.map_or(shown.clone(), |port| format!("{shown}:{port}"));
    Ok(Target { host, port, authority, path })
}

fn same_port(host: Host, given: Option<u16>, port: u16) -> Result<Host, TargetError> {
    match given {
        Some(given) if given != port => Err(TargetError::Mismatch(format!("{host}:{given}"))),
        _ => Ok(host),
    }
}

/// The host in a target that is a whole address. Only the proxy needs one; elsewhere it is taken when it is the same.
fn absolute(uri: &Uri, place: &Place) -> Result<Option<(Host, Option<u16>)>, TargetError> {
    let (Some(scheme), Some(found)) = (uri.scheme_str(), uri.authority()) else {
        return if *place == Place::Proxy || uri.authority().is_some() {
            Err(TargetError::BadTarget)
        } else {
            Ok(None)
        };
    };
    let expected = if matches!(place, Place::Opened { .. }) { "https" } else { "http" };
    if scheme != expected {
        return Err(TargetError::BadTarget);
    }
    authority(found.as_str()).map(Some).ok_or(TargetError::BadHost)
}

fn host_header(headers: &HeaderMap, version: Version) -> Result<Option<(Host, Option<u16>)>, TargetError> {
    let mut values = headers.get_all(HOST).iter();
    let Some(value) = values.next() else {
        return if version == Version::HTTP_10 { Ok(None) } else { Err(TargetError::NoHost) };
    };
    if values.next().is_some() {
        return Err(TargetError::BadHost);
    }
    value.to_str().ok().and_then(authority).map(Some).ok_or(TargetError::BadHost)
}

/// Lengths that are said in two ways have been read already, and are sent on in one; what remains is a coding that we
/// would take away without undoing it.
fn check_length(headers: &HeaderMap) -> Result<(), TargetError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = match codings.next() {
        None => false,
        Some(coding) if codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        Some(_) => return Err(TargetError::Length),
    };
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 || (lengths == 1 && is_chunked) { Err(TargetError::Length) } else { Ok(()) }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
