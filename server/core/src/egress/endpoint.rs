//! The way to the API that the person's own environment, or what they stored with a key, names instead of Anthropic's:
//! whoever starts a sandbox with `ANTHROPIC_BASE_URL` wants Claude in it to get there, and says so with that.

use std::collections::BTreeMap;

use boxwood_protocol::egress::{EgressAction, EgressConfig};

use super::host::Host;
use super::pattern::{Pattern, Target};
use super::policy::rule_for;

/// Name inside of an API that is given by its address: behind a gateway only names lead anywhere.
pub const ENDPOINT_NAME: &str = "endpoint.boxwood.internal";

/// An API that a sandbox behind a gateway can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its URL inside.
    pub url: String,
    /// What has to be allowed for it.
    pub egress: EgressConfig,
}

/// Why a sandbox does not get there. Reads after "`ANTHROPIC_BASE_URL`" or "the base URL".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No `http://` or `https://`, or no host after it.
    #[error("is not a URL like https://name:port/path")]
    NotAUrl,
    /// The host that the sandbox runs on, by its name for itself.
    #[error("points at this machine's loopback, which a sandbox cannot reach; give an address of the machine instead")]
    Loopback,
    /// TLS with an address: the name that stands for the address would not be in the server's certificate.
    #[error("has an address after https://, which does not work behind a gateway; give a name that has the address")]
    TlsWithAddress,
    /// Gateways have no IPv6.
    #[error("has an IPv6 address, which does not work behind a gateway; give a name, or an IPv4 address")]
    Ipv6,
}

/// Reads a URL and tells how a sandbox behind a gateway gets there.
///
/// # Errors
/// When it does not get there at all.
pub fn endpoint(url: &str) -> Result<Endpoint, EndpointError> {
    let (scheme, rest) = url.trim().split_once("://").ok_or(EndpointError::NotAUrl)?;
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(EndpointError::NotAUrl),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let target = Target::parse(authority).map_err(|_| EndpointError::NotAUrl)?;
    let Pattern::Exact(host) = target.pattern else { return Err(EndpointError::NotAUrl) };
    let port = target.port.unwrap_or(if is_tls { 443 } else { 80 });
    let is_loopback = match &host {
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Address(address) => address.is_loopback(),
    };
    if is_loopback {
        return Err(EndpointError::Loopback);
    }
    let (name, hosts) = match &host {
        Host::Name(name) => (name.as_str(), None),
        Host::Address(address) if address.is_ipv6() => return Err(EndpointError::Ipv6),
        Host::Address(_) if is_tls => return Err(EndpointError::TlsWithAddress),
        Host::Address(address) => (ENDPOINT_NAME, Some(BTreeMap::from([(ENDPOINT_NAME.to_owned(), *address)]))),
    };
    let rule = rule_for(&format!("{name}:{port}"), EgressAction::Allow).map_err(|_| EndpointError::NotAUrl)?;
    // It may well stand in the person's own network.
    let rules = Some(vec![boxwood_protocol::egress::EgressRule { private: Some(true), ..rule }]);
    let inside = if hosts.is_some() { format!("{scheme}://{name}:{port}{path}") } else { url.trim().to_owned() };
    Ok(Endpoint { url: inside, egress: EgressConfig { rules, hosts, ..EgressConfig::default() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_allowed_at_its_port_and_stays_as_it_is() {
        for (url, rule) in [
            ("https://llm.example.com", "llm.example.com:443"),
            ("https://LLM.example.com:8443/v1?x=1", "llm.example.com:8443"),
            (" http://proxy/anthropic ", "proxy:80"),
        ] {
            let endpoint = endpoint(url).unwrap_or_else(|cause| panic!("{url}: {cause}"));
            assert_eq!(endpoint.url, url.trim());
            let rules = endpoint.egress.rules.expect("a rule");
            assert_eq!(rules.len(), 1);
            assert_eq!((super::super::rule_text(&rules[0]), rules[0].private), (rule.to_owned(), Some(true)));
            assert_eq!(endpoint.egress.hosts, None);
        }
    }

    #[test]
    fn an_address_gets_a_name() {
        let endpoint = endpoint("http://172.17.0.1:4000/v1").expect("reachable");
        assert_eq!(endpoint.url, format!("http://{ENDPOINT_NAME}:4000/v1"));
        let hosts = endpoint.egress.hosts.expect("a host");
        assert_eq!(hosts.get(ENDPOINT_NAME), Some(&"172.17.0.1".parse().expect("an address")));
    }

    #[test]
    fn what_cannot_be_reached_is_told() {
        use EndpointError::{Ipv6, Loopback, NotAUrl, TlsWithAddress};
        for (url, why) in [
            ("", NotAUrl),
            ("llm.example.com", NotAUrl),
            ("ftp://llm.example.com", NotAUrl),
            ("https://", NotAUrl),
            ("https://*.example.com", NotAUrl),
            ("https://me:secret@example.com", NotAUrl),
            ("https://example.com:0", NotAUrl),
            ("http://localhost:4000", Loopback),
            ("http://127.1.2.3", Loopback),
            ("http://[::1]:4000", Loopback),
            ("http://[2001:db8::1]:4000", Ipv6),
            ("https://203.0.113.7", TlsWithAddress),
        ] {
            assert_eq!(endpoint(url), Err(why), "{url}");
        }
    }
}
