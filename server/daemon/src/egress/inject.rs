//! Credentials that gateways put on requests: kept in memory for each sandbox, given to its gateway, and the servers they
//! are for made part of its policy.
//!
//! Values are known to whoever read them from where they are kept, to this module and to the gateway. What the state
//! directory keeps is only for which servers there are some, so that the next daemon makes the same policy.

use std::collections::BTreeSet;
use std::sync::Arc;

use boxwood_core::credentials::environment::Server;
use boxwood_core::credentials::provision::{Injection, STRIPPED};
use boxwood_core::egress::Host;
use boxwood_protocol::egress::{EgressLayer, EgressPolicy, EgressRule, PlacedRule};
use boxwood_protocol::gateway::{HostEntry, Injection as Given};
use boxwood_protocol::{ErrorCode, RpcError};

use super::Egress;
use super::entry::Entry;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::records::CredentialServer;

/// Under which name the rules are shown that are there because of credentials.
const PRESET: &str = "credentials";
/// The preset with the hosts of Claude's own.
const CLAUDE: &str = "claude";

impl Egress {
    /// Has the gateway of a sandbox put credentials on requests, in place of those that it put there before, and lets the
    /// sandbox reach these servers and `reach`, as far as nothing denies them. An empty list forgets the ones before. What
    /// is given is kept as long as the sandbox has a gateway, whatever becomes of the conversation with it.
    pub(crate) async fn inject(
        &self,
        daemon: &Arc<Daemon>,
        sandbox: &str,
        injections: Vec<Injection>,
        reach: Vec<Server>,
    ) -> Result<()> {
        let servers = servers(&injections, &reach);
        let given = injections.into_iter().map(given).collect::<Result<Vec<_>>>()?;
        let had_any = daemon.records.get(sandbox).is_some_and(|record| !record.credentials.is_empty());
        if given.is_empty() && servers.is_empty() && !had_any {
            return Ok(());
        }
        self.give(daemon, sandbox, &given, Some(&servers)).await
    }

    /// What this daemon has a sandbox's gateway put on requests, for [`Self::inject_again`]; `None` when it was not told of any.
    pub(crate) fn injected(&self, sandbox: &str) -> Option<Vec<Given>> {
        self.get(sandbox)?.state().injections.clone()
    }

    /// Has a gateway that was started anew put on requests what the one before it did, for the same servers.
    pub(crate) async fn inject_again(&self, daemon: &Arc<Daemon>, sandbox: &str, given: &[Given]) -> Result<()> {
        self.give(daemon, sandbox, given, None).await
    }

    async fn give(
        &self,
        daemon: &Arc<Daemon>,
        sandbox: &str,
        given: &[Given],
        servers: Option<&[CredentialServer]>,
    ) -> Result<()> {
        let mut entry = self.get_soon(sandbox).await.ok_or_else(|| no_gateway(sandbox))?;
        loop {
            entry.state().injections = Some(given.to_vec());
            servers.map_or(Ok(()), |servers| entry.keep_servers(daemon, servers))?;
            let outcome = entry.enforce(daemon).await;
            // Somebody may have connected anew meanwhile; what counts is that the gateway in use has them.
            match self.get(sandbox) {
                Some(newer) if !Arc::ptr_eq(&newer, &entry) => entry = newer,
                _ => return outcome,
            }
        }
    }
}

impl Entry {
    fn keep_servers(&self, daemon: &Daemon, servers: &[CredentialServer]) -> Result<()> {
        let Some(mut record) = daemon.records.get(&self.sandbox) else { return Ok(()) };
        if record.credentials != servers {
            record.credentials = servers.to_vec();
            daemon.records.put(&self.sandbox, record)?;
        }
        Ok(())
    }
}

fn no_gateway(sandbox: &str) -> RpcError {
    let message =
        format!("the sandbox {sandbox} does not run behind a gateway, so nothing can put credentials on its requests");
    RpcError::new(ErrorCode::SandboxNotRunning, message).hint("start it, with the setting 'network' at 'gateway'")
}

/// An injection as the gateway is told it. What no header can have is refused here, before anything changes.
fn given(injection: Injection) -> Result<Given> {
    let Injection { server, strip, set } = injection;
    let is_possible = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
    if set.iter().any(|(_, value)| !is_possible(value.reveal())) {
        let message = format!("the credential for {}:{} cannot be sent", server.host, server.port);
        return Err(RpcError::new(ErrorCode::InvalidParams, message)
            .hint("it is empty or has a line break in it; enter it again, as one line"));
    }
    let guard = Given::guard(server.host.to_string(), server.port, server.is_tls, strip);
    Ok(Given { set: set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), ..guard })
}

fn servers(injections: &[Injection], reach: &[Server]) -> Vec<CredentialServer> {
    let kept = |server: &Server, is_set| CredentialServer {
        host: server.host.to_string(),
        port: server.port,
        is_tls: server.is_tls,
        address: server.address,
        is_set,
    };
    let mut servers: Vec<_> = injections.iter().map(|injection| kept(&injection.server, true)).collect();
    for server in reach {
        let is_known = injections.iter().any(|injection| injection.server == *server);
        servers.extend((!is_known).then(|| kept(server, false)));
    }
    servers
}

/// What the gateway has to remove from requests to these servers although it may know of nothing to set.
pub(super) fn guards(servers: &[CredentialServer]) -> Vec<Given> {
    let set = servers.iter().filter(|server| server.is_set);
    set.map(|server| Given::guard(server.host.clone(), server.port, server.is_tls, STRIPPED)).collect()
}

/// Adds what names lead to that only the sandbox knows. Whatever else settings take them for: a credential goes where it is for.
pub(super) fn add_hosts(hosts: &mut Vec<HostEntry>, servers: &[CredentialServer]) {
    for (name, address) in servers.iter().filter_map(|server| Some((&server.host, server.address?))) {
        hosts.retain(|entry| entry.name != *name);
        hosts.push(HostEntry { name: name.clone(), address });
    }
}

/// Adds the rules by which these servers can be reached. They belong to no file, like the preset of Claude's own hosts, and
/// are as weak as that one: whatever denies a host denies it to credentials as well.
pub(super) fn add_rules(policy: &mut EgressPolicy, servers: &[CredentialServer]) {
    let parsed = |it: &CredentialServer| {
        Some(Server { host: Host::parse(&it.host).ok()?, port: it.port, is_tls: it.is_tls, address: it.address })
    };
    let mut rules: Vec<EgressRule> = servers.iter().filter_map(parsed).map(|server| server.rule()).collect();
    // Hosts of the same domain are often served by the same machines. A connection to one of them must not be used to
    // reach the other unseen, so it is opened as well; nothing is changed on its requests.
    let domains: BTreeSet<&str> = servers
        .iter()
        .filter(|server| server.is_set && server.is_tls)
        .filter_map(|server| server.host.split_once('.').map(|(_, domain)| domain))
        .filter(|domain| domain.contains('.'))
        .collect();
    let is_sibling = |host: &str| host.split_once('.').is_some_and(|(_, domain)| domains.contains(domain));
    let claude = policy.rules.iter().filter(|placed| placed.preset.as_deref() == Some(CLAUDE));
    let siblings = claude.filter(|placed| is_sibling(&placed.rule.host)).map(|placed| placed.rule.clone());
    rules.extend(siblings.map(|rule| EgressRule { inspect: Some(true), ..rule }).collect::<Vec<_>>());
    for rule in rules {
        let placed = PlacedRule { layer: EgressLayer::Preset, preset: Some(PRESET.to_owned()), rule };
        if !policy.rules.contains(&placed) {
            policy.rules.push(placed);
        }
    }
    policy.rules.sort_by(|a, b| (a.layer, &a.preset).cmp(&(b.layer, &b.preset)));
}
