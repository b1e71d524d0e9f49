//! Credentials that are put on requests: which servers get them, what is taken away there, and what is set instead.
//!
//! The agent holds a placeholder only. On every request to such a server, whatever could carry a credential of the agent's
//! own, as a header or in the query, is removed first, so that neither a stolen key nor an account of somebody else's is of any use there.

mod query;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use boxwood_core::egress::{Host, HostError, Requests};
use boxwood_protocol::credentials::Secret;
use boxwood_protocol::egress::EgressVia;
use boxwood_protocol::gateway::Injection as Given;
use bytes::Bytes;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};

use crate::state::Wanted;
use crate::web::headers::tokens;

/// A request there could not be seen.
pub const UNSEEN: &str = "credentials-unseen";
/// What would be put on a request there would be shown to others.
pub const EXPOSED: &str = "credentials-exposed";

/// How a request travels: not for credentials.
const NEVER: [HeaderName; 8] = [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
/// Methods whose answers repeat the request.
const ECHOING: [&str; 2] = ["TRACE", "TRACK"];

/// Why credentials cannot be put on requests. What was to be put there is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectionError {
    /// The server is none.
    #[error("credentials are for a host that is none: {0}")]
    Host(#[from] HostError),
    /// Two say different things about the same server.
    #[error("credentials for {0}:{1} are given twice")]
    Twice(Host, u16),
    /// Not a name of a header, or of one that says how a request travels.
    #[error("credentials for {0}:{1} are to stand in a header that cannot have them")]
    Name(Host, u16),
    /// Not a value that a header can have.
    #[error(
        "the credentials for {0}:{1} cannot stand in a header: they are empty, or have a line break or another sign that no header can have"
    )]
    Value(Host, u16),
}

/// What becomes of the headers and of the query of requests to one server.
#[derive(Debug)]
pub struct Injection {
    host: Host,
    port: u16,
    is_tls: bool,
    /// Names that are removed, as [`form`] has them; those that are set are among them.
    removed: Vec<String>,
    /// The same names as they are looked for in a query.
    in_query: Vec<String>,
    set: Vec<(HeaderName, HeaderValue)>,
}

/// Overwritten when the last header that shares it is gone.
struct Shared(Secret);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.reveal().as_bytes()
    }
}

/// Some servers take `_` for `-` in the names of headers.
fn form(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('_', "-")
}

impl Injection {
    fn read(given: &Given) -> Result<Self, InjectionError> {
        let (host, port) = (Host::parse(&given.host)?, given.port);
        let named = |name: &str| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !NEVER.contains(name));
            name.ok_or_else(|| InjectionError::Name(host.clone(), port))
        };
        let mut removed = Vec::new();
        for name in &given.strip {
            removed.push(form(named(name)?.as_str()));
        }
        let mut set = Vec::new();
        for (name, value) in &given.set {
            let name = named(name)?;
            removed.push(form(name.as_str()));
            let shared = Bytes::from_owner(Shared(value.duplicate()));
            let value = HeaderValue::from_maybe_shared(shared).ok().filter(|value| !value.is_empty());
            let mut value = value.ok_or_else(|| InjectionError::Value(host.clone(), port))?;
            value.set_sensitive(true);
            set.push((name, value));
        }
        removed.sort_unstable();
        removed.dedup();
        let in_query = removed.iter().map(|name| query::plain(name)).collect();
        Ok(Self { host, port, is_tls: given.tls, removed, in_query, set })
    }

    fn removes(&self, name: &str) -> bool {
        self.removed.binary_search(&form(name)).is_ok()
    }

    /// Removes what the client sent in trailers, before they are sent on.
    pub fn clean(&self, headers: &mut HeaderMap) {
        let foreign: Vec<HeaderName> = headers.keys().filter(|name| self.removes(name.as_str())).cloned().collect();
        for name in foreign {
            headers.remove(name);
        }
    }

    /// Removes what the client sent, and sets what is to be there. What belonged to the client's connection is gone already.
    pub fn put(&self, headers: &mut HeaderMap) {
        self.clean(headers);
        if headers.contains_key(TRAILER) {
            let kept: Vec<&str> = tokens(headers, &TRAILER).filter(|name| !self.removes(name)).collect();
            let kept = HeaderValue::from_str(&kept.join(", ")).ok().filter(|kept| !kept.is_empty());
            headers.remove(TRAILER);
            if let Some(kept) = kept {
                headers.insert(TRAILER, kept);
            }
        }
        for (name, value) in &self.set {
            headers.append(name, value.clone());
        }
    }

    /// Path and query as they are sent on: without what could carry a credential there.
    #[must_use]
    pub fn target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        query::without_credentials(target, &self.in_query).map_or(Cow::Borrowed(target), Cow::Owned)
    }

    /// Why something that wants to go there cannot have its requests seen, or must not have credentials on them.
    #[must_use]
    pub fn objection(&self, wanted: &Wanted<'_>) -> Option<&'static str> {
        match wanted.requests {
            Requests::Never => Some(UNSEEN),
            Requests::Later => None,
            Requests::This { .. } if self.is_tls && wanted.via != EgressVia::Https => Some(EXPOSED),
            Requests::This { method, .. } => {
                ECHOING.iter().any(|echoing| method.eq_ignore_ascii_case(echoing)).then_some(EXPOSED)
            }
        }
    }
}

/// What becomes of the headers of requests, by server.
#[derive(Debug, Clone, Default)]
pub struct Injections(Vec<Arc<Injection>>);

impl Injections {
    /// Reads a list.
    ///
    /// # Errors
    /// When it cannot be used; nothing of it may be then.
    pub fn read(list: &[Given]) -> Result<Self, InjectionError> {
        let mut all = Self::default();
        for given in list {
            let one = Injection::read(given)?;
            if all.exact(&one.host, one.port).is_some() {
                return Err(InjectionError::Twice(one.host, one.port));
            }
            all.0.push(Arc::new(one));
        }
        Ok(all)
    }

    /// These, and `guards` for servers that have none.
    #[must_use]
    pub fn guarded_by(mut self, guards: Self) -> Self {
        let missing = guards.0.into_iter().filter(|guard| self.exact(&guard.host, guard.port).is_none());
        let missing: Vec<_> = missing.collect();
        self.0.extend(missing);
        self
    }

    fn exact(&self, host: &Host, port: u16) -> Option<&Arc<Injection>> {
        self.0.iter().find(|one| one.port == port && one.host == *host)
    }

    /// What becomes of requests to a server. `given` is the address that the settings give its name: a server that is known
    /// by its address is reached under such a name.
    #[must_use]
    pub fn find(&self, host: &Host, port: u16, given: impl FnOnce() -> Option<IpAddr>) -> Option<&Arc<Injection>> {
        self.exact(host, port).or_else(|| {
            let has_addresses = self.0.iter().any(|one| one.host.address().is_some());
            has_addresses.then(given)?.and_then(|address| self.exact(&Host::of_address(address), port))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "Bearer canary";

    fn given(strip: &[&str], set: &[(&str, &str)]) -> Given {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect();
        Given { set, ..Given::guard("API.example".to_owned(), 443, true, strip) }
    }

    fn read(strip: &[&str], set: &[(&str, &str)]) -> Result<Injections, InjectionError> {
        Injections::read(&[given(strip, set)])
    }

    fn put(injections: &Injections, list: &[(&str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            );
        }
        injections.0[0].put(&mut headers);
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect()
    }

    #[test]
    fn what_was_there_is_removed_and_ours_is_set_once() {
        let both = read(&["Authorization", "x-api-key", "cookie"], &[("Authorization", CANARY)]).expect("read");
        let sent = [
            ("authorization", "Bearer mine"),
            ("AUTHORIZATION", "Bearer mine too"),
            ("X-Api-Key", "1"),
            ("x_api_key", "2"),
            ("Cookie", "a=b"),
            ("x-other", "stays"),
        ];
        assert_eq!(put(&both, &sent), ["x-other: stays", "authorization: Bearer canary"]);
        let only_set = read(&[], &[("x-api-key", "canary")]).expect("read");
        assert_eq!(put(&only_set, &[("x-api-key", "mine"), ("cookie", "a=b")]), ["cookie: a=b", "x-api-key: canary"]);
    }

    #[test]
    fn trailers_are_not_announced_either() {
        let guard = read(&["x-api-key"], &[]).expect("read");
        assert_eq!(put(&guard, &[("trailer", "X-Api-Key, x-sum"), ("trailer", "x_api_key")]), ["trailer: x-sum"]);
        assert_eq!(put(&guard, &[("trailer", "x-api-key")]), [""; 0]);
    }

    #[test]
    fn what_no_header_can_have_is_refused_and_not_repeated() {
        for (name, value) in [
            ("authorization", ""),
            ("authorization", "canary\r\nhost: other.example"),
            ("authorization", "canary\0"),
            ("canary name", "canary"),
            ("Host", "canary"),
            ("content-length", "canary"),
        ] {
            let error = read(&[], &[(name, value)]).expect_err("refused");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        assert!(read(&["transfer-encoding"], &[]).is_err());
        assert!(Injections::read(&[Given::guard("a..b".to_owned(), 443, true, &[])]).is_err());
        let twice = [given(&[], &[]), given(&["cookie"], &[("x-api-key", "canary")])];
        let error = Injections::read(&twice).expect_err("refused");
        assert_eq!(error.to_string(), "credentials for api.example:443 are given twice");
    }

    #[test]
    fn nothing_shows_a_value() {
        let shown = format!("{:?}", read(&["cookie"], &[("authorization", CANARY)]).expect("read"));
        assert!(!shown.contains("canary") && shown.contains("api.example"), "{shown}");
    }

    #[test]
    fn a_server_is_its_host_and_port_and_the_name_that_was_given_to_its_address() {
        let address: IpAddr = "192.0.2.7".parse().expect("an address");
        let guards = [
            Given::guard("api.example".to_owned(), 443, true, &[]),
            Given::guard(address.to_string(), 4000, false, &[]),
        ];
        let injections = Injections::read(&guards).expect("read");
        let finds =
            |host: &str, port, given| injections.find(&Host::parse(host).expect("a host"), port, || given).is_some();
        assert!(finds("api.example", 443, None) && finds("API.example.", 443, Some(address)));
        assert!(finds("192.0.2.7", 4000, None) && finds("inside.example", 4000, Some(address)));
        assert!(!finds("api.example", 80, None) && !finds("b.api.example", 443, None) && !finds("example", 443, None));
        assert!(!finds("inside.example", 4000, None) && !finds("inside.example", 443, Some(address)));
    }

    #[test]
    fn guards_stand_in_where_nothing_is_known() {
        let known = read(&[], &[("x-api-key", "canary")]).expect("read");
        let other = Given::guard("b.example".to_owned(), 443, true, &["x-api-key"]);
        let guards = || Injections::read(&[given(&["x-api-key"], &[]), other.clone()]).expect("read");
        let both = known.guarded_by(guards());
        assert_eq!(both.0.iter().map(|one| one.set.len()).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(Injections::default().guarded_by(guards()).0.len(), 2);
    }
}
