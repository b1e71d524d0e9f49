//! Answers to questions for names, out of the policy alone: no question leaves the gateway, so none carries anything out.
//!
//! A name that may be reached, or would be asked about, gets an own address; every other name does not exist. Nothing but
//! addresses is told of any name.

mod server;

use std::net::Ipv4Addr;
use std::sync::Arc;

use boxwood_core::egress::Host;
use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

pub use server::serve;

/// Longest question that is read: one name and the usual options.
pub const MAX_QUESTION: usize = 1232;
/// Longest answer: what every client takes without having said that it takes more. Ours never need it.
pub const MAX_ANSWER: usize = 512;

/// What answers are made of.
pub trait Zone {
    /// What is known of a name. `wants_address` is false when its address was not asked for.
    fn look_up(&self, host: &Host, wants_address: bool) -> Found;
    /// The name of an own address.
    fn name_of(&self, address: Ipv4Addr) -> Option<Arc<str>>;
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It may be reached, or may become so, at this own address.
    Address(Ipv4Addr),
    /// It may not be reached.
    Refused,
    /// It may be reached, but all own addresses are in use.
    Full,
}

/// The answer to a message; `None` when it deserves none. It is never longer than [`MAX_ANSWER`].
#[must_use]
pub fn answer(message: &[u8], zone: &impl Zone) -> Option<Vec<u8>> {
    let header = Header::read(&mut BinDecoder::new(message)).ok()?;
    if header.message_type() != MessageType::Query {
        return None;
    }
    let mut answer = Message::new();
    answer.set_header(Header::response_from_request(&header)).set_recursion_available(true);
    match read(message, &header) {
        Ok(question) => {
            respond(&question, zone, &mut answer);
            answer.add_query(question);
        }
        Err(code) => {
            answer.set_response_code(code);
        }
    }
    answer.to_vec().ok().filter(|bytes| bytes.len() <= MAX_ANSWER)
}

/// The one question of a message that has nothing else but options.
fn read(message: &[u8], header: &Header) -> Result<Query, ResponseCode> {
    if header.op_code() != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    // Before anything is read that would be given memory by these numbers.
    let others = (header.answer_count(), header.name_server_count());
    if message.len() > MAX_QUESTION || header.query_count() != 1 || others != (0, 0) || header.additional_count() > 1 {
        return Err(ResponseCode::FormErr);
    }
    let mut decoder = BinDecoder::new(message);
    let mut whole = Message::read(&mut decoder).map_err(|_| ResponseCode::FormErr)?;
    if !decoder.is_empty() || !whole.additionals().is_empty() {
        return Err(ResponseCode::FormErr);
    }
    whole.take_queries().pop().ok_or(ResponseCode::FormErr)
}

fn respond(question: &Query, zone: &impl Zone, answer: &mut Message) {
    use RecordType::{A as Address, AAAA, ANY, AXFR, IXFR, PTR as Pointer};

    if question.query_class() != DNSClass::IN || matches!(question.query_type(), ANY | AXFR | IXFR) {
        answer.set_response_code(ResponseCode::Refused);
        return;
    }
    let Some(host) = host(question.name()) else {
        answer.set_response_code(ResponseCode::NXDomain);
        return;
    };
    if let Some(reverse) = reverse(&host) {
        let name = reverse.filter(|_| question.query_type() == Pointer).and_then(|address| zone.name_of(address));
        match name.and_then(|name| Name::from_ascii(format!("{name}.")).ok()) {
            Some(name) => add(answer, question, RData::PTR(PTR(name))),
            None => {
                answer.set_response_code(ResponseCode::NXDomain);
            }
        }
        return;
    }
    match zone.look_up(&host, matches!(question.query_type(), Address | AAAA)) {
        Found::Address(address) if question.query_type() == Address => add(answer, question, RData::A(A(address))),
        // It exists, and there is no such record of it.
        Found::Address(_) => {}
        Found::Refused => {
            answer.set_response_code(ResponseCode::NXDomain);
        }
        Found::Full => {
            answer.set_response_code(ResponseCode::ServFail);
        }
    }
}

fn add(answer: &mut Message, question: &Query, data: RData) {
    let ttl = u32::try_from(crate::addresses::TTL.as_secs()).unwrap_or(0);
    answer.add_answer(Record::from_rdata(question.name().clone(), ttl, data));
}

/// The name in its normal form. Labels may hold anything, so also dots and what no host has: such a name is none.
fn host(name: &Name) -> Option<Host> {
    let mut text = String::new();
    for label in name.iter() {
        let label = std::str::from_utf8(label).ok().filter(|label| label.is_ascii() && !label.contains('.'))?;
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(label);
    }
    // Programs read addresses themselves; who asks here for one would treat the answer as a name's.
    Host::parse(&text).ok().filter(|host| host.name().is_some())
}

/// For a name below which addresses are turned into names: the address, if it is one of IPv4.
fn reverse(host: &Host) -> Option<Option<Ipv4Addr>> {
    let name = host.name()?;
    if name == "arpa" || name.ends_with(".arpa") {
        let parts =
            name.strip_suffix(".in-addr.arpa").map(|parts| parts.split('.').rev().collect::<Vec<_>>().join("."));
        return Some(parts.and_then(|address| address.parse().ok()));
    }
    None
}

#[cfg(test)]
mod tests;
