//! The text of the kernel's rules: only the gateway's user gets out, by IPv4; questions for names and connections to
//! addresses go to the gateway whomever they were meant for; everything else stays in the container.
//!
//! What is open already gets nothing out either, so that a moment without rules leaves no connection behind. The engine's
//! own resolver in the container is closed to everybody else: it would carry anything out in a question.

use super::{ADDRESS, REDIRECTED, SUBNET};
use crate::privileges::ID;

/// The resolver that engines put into containers.
const ENGINE_RESOLVER: &str = "127.0.0.11";
/// Chains of the old form, in the table for addresses.
pub(super) const NAMES: &str = "BOXWOOD_NAMES";
pub(super) const SOURCE: &str = "BOXWOOD_SOURCE";

/// Whom the rules let out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nobody: before there is a gateway, and when there may be none.
    Nobody,
    /// The gateway.
    Gateway,
}

/// For `nft`. What was turned towards the gateway is still seen with the interface that it was sent to, so it has rules of
/// its own beside those for the container's own interface. All or nothing: the kernel takes the whole text at once, also
/// over what is there.
pub(super) fn nft(reach: Reach) -> String {
    let (but_gateway, leaving, turning) = match reach {
        Reach::Nobody => (String::new(), String::new(), String::new()),
        Reach::Gateway => (
            format!("meta skuid != {ID} "),
            format!(
                "    ip daddr {ADDRESS} udp dport 53 accept
    ip daddr {ADDRESS} tcp dport {{ 53, {REDIRECTED} }} accept
    meta nfproto ipv4 meta skuid {ID} accept
"
            ),
            format!(
                "table ip boxwood_names {{
  chain output {{
    type nat hook output priority -110; policy accept;
    meta skuid != {ID} udp dport 53 dnat to {ADDRESS}
    meta skuid != {ID} tcp dport 53 dnat to {ADDRESS}
    meta skuid != {ID} oifname != \"lo\" ip daddr != {SUBNET} meta l4proto tcp dnat to {ADDRESS}:{REDIRECTED}
  }}
  chain postrouting {{
    type nat hook postrouting priority 90; policy accept;
    oifname \"lo\" ip daddr {ADDRESS} ip saddr != {SUBNET} snat to {ADDRESS}
  }}
}}
"
            ),
        ),
    };
    format!(
        "add table inet boxwood
delete table inet boxwood
table inet boxwood {{
  chain output {{
    type filter hook output priority 0; policy drop;
    {but_gateway}ip daddr {ENGINE_RESOLVER} drop
    oifname \"lo\" accept
{leaving}    meta nfproto ipv4 meta l4proto tcp reject with tcp reset
  }}
  chain input {{
    type filter hook input priority 0; policy drop;
    iifname \"lo\" accept
    meta nfproto ipv4 ct state established,related accept
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
  }}
}}
add table ip boxwood_names
delete table ip boxwood_names
{turning}"
    )
}

/// The same in the older form. Nothing else has rules in a container's own table.
pub(super) fn filter(version: u8, reach: Reach) -> String {
    let mut text =
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n".to_owned();
    let but_gateway = format!(" -m owner ! --uid-owner {ID}");
    match (version, reach) {
        (4, Reach::Nobody) => {
            text += &format!(
                "-A OUTPUT -d {ENGINE_RESOLVER}/32 -j DROP
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -p tcp -j REJECT --reject-with tcp-reset
"
            );
        }
        (4, Reach::Gateway) => {
            text += &format!(
                "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A OUTPUT -d {ENGINE_RESOLVER}/32{but_gateway} -j DROP
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -d {ADDRESS}/32 -p udp -m udp --dport 53 -j ACCEPT
-A OUTPUT -d {ADDRESS}/32 -p tcp -m tcp --dport 53 -j ACCEPT
-A OUTPUT -d {ADDRESS}/32 -p tcp -m tcp --dport {REDIRECTED} -j ACCEPT
-A OUTPUT -m owner --uid-owner {ID} -j ACCEPT
-A OUTPUT -p tcp -j REJECT --reject-with tcp-reset
"
            );
        }
        _ => text += "-A OUTPUT -o lo -j ACCEPT\n",
    }
    text + "COMMIT\n"
}

/// What is turned seems to come from the gateway's own address, because the answer has to leave from there: to any other
/// address of the container the kernel would answer from that one. The engine may have rules of its own in this table;
/// they stay, behind these.
pub(super) fn turning() -> String {
    let but_gateway = format!("-m owner ! --uid-owner {ID}");
    format!(
        "*nat
:{NAMES} - [0:0]
:{SOURCE} - [0:0]
-A {NAMES} -p udp -m udp --dport 53 {but_gateway} -j DNAT --to-destination {ADDRESS}
-A {NAMES} -p tcp -m tcp --dport 53 {but_gateway} -j DNAT --to-destination {ADDRESS}
-A {NAMES} ! -d {SUBNET} ! -o lo -p tcp {but_gateway} -j DNAT --to-destination {ADDRESS}:{REDIRECTED}
-A {SOURCE} ! -s {SUBNET} -d {ADDRESS}/32 -o lo -j SNAT --to-source {ADDRESS}
-I OUTPUT 1 -j {NAMES}
-I POSTROUTING 1 -j {SOURCE}
COMMIT
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_drops_by_default_and_lets_only_the_gateway_out() {
        for (reach, times) in [(Reach::Nobody, 0), (Reach::Gateway, 1)] {
            let nft = nft(reach);
            assert_eq!(nft.matches("policy drop").count(), 3);
            assert_eq!(nft.matches(&format!("meta skuid {ID} accept")).count(), times);
            assert!(!nft.split("chain input").next().expect("the output's").contains("ct state"), "nothing stays open");
            for version in [4, 6] {
                let rules = filter(version, reach);
                assert_eq!(rules.matches("DROP [0:0]").count(), 3);
                assert_eq!(
                    rules.matches(&format!("--uid-owner {ID} -j ACCEPT")).count(),
                    times * usize::from(version == 4)
                );
                assert!(rules.ends_with("COMMIT\n"));
            }
            // The engine's resolver is closed before the container's own network is opened.
            for (rules, opening) in [(nft, "oifname \"lo\" accept"), (filter(4, reach), "OUTPUT -o lo -j ACCEPT")] {
                assert!(rules.find(ENGINE_RESOLVER) < rules.find(opening), "{rules}");
            }
        }
    }

    #[test]
    fn connections_to_addresses_are_turned_to_the_gateway_after_questions_for_names() {
        let to = format!("{ADDRESS}:{REDIRECTED}");
        for (rules, question) in [(nft(Reach::Gateway), "tcp dport 53 dnat"), (turning(), "tcp --dport 53")] {
            assert_eq!(rules.matches(&to).count(), 1, "{rules}");
            assert!(rules.find(question) < rules.find(&to), "{rules}");
        }
        assert!(!nft(Reach::Nobody).contains("dnat"));
    }
}
