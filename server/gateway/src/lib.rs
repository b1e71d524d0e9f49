//! A sandbox's only way to the network: names, TLS, HTTP and proxies, by policy.
//!
//! How a connection goes through here: [`listen`] accepts it and knows its port and, from the address it went to, maybe
//! its name; [`sniff`] reads as little as tells what is spoken; [`tunnel`] sends it on to [`tls`], [`web`] or [`opaque`];
//! these ask [`state::State::judge`], which holds it when the person must be asked and gives a [`flows::Flow`] when it
//! may pass; [`dial`] connects to an address that was judged as well; [`splice`] carries the bytes. A flow that is dropped
//! is over, a flow whose token is cancelled must end: that is all that revoking is.
//!
//! On requests to some servers credentials are put that the sandbox does not have ([`inject`]); what it sent of that kind
//! is removed.
//!
//! What the sandbox sends is hostile. Whatever is read before a verdict is bounded in size and time, and nothing is sent
//! on that was not understood the same way it will be understood.
#![cfg(target_os = "linux")]

pub mod addresses;
pub mod args;
pub mod control;
pub mod dial;
pub mod dns;
pub mod flows;
pub mod hello;
pub mod hold;
pub mod inject;
pub mod inside;
pub mod io;
pub mod limits;
pub mod listen;
pub mod log;
pub mod memory;
pub mod mitm;
pub mod netlink;
pub mod opaque;
pub mod outbox;
pub mod outside;
pub mod privileges;
pub mod reasons;
pub mod run;
pub mod sniff;
pub mod socks;
pub mod splice;
pub mod state;
pub mod tls;
pub mod trust;
pub mod tunnel;
pub mod web;
pub mod zone;
