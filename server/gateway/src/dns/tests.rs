//! Questions as they come in, and what is answered.

use super::*;

/// Knows two names; the other functions of the zone's users are theirs to test.
#[derive(Clone)]
pub(super) struct Fixed;

const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 4, 77);

impl Zone for Fixed {
    fn look_up(&self, host: &Host, _wants_address: bool) -> Found {
        match host.name() {
            Some("allowed.example") => Found::Address(OWN),
            Some("full.example") => Found::Full,
            _ => Found::Refused,
        }
    }

    fn name_of(&self, address: Ipv4Addr) -> Option<Arc<str>> {
        (address == OWN).then(|| "allowed.example".into())
    }
}

/// A question as bytes: name with a dot at the end, and type.
pub(super) fn question(name: &str, kind: u16) -> Vec<u8> {
    let labels: Vec<&[u8]> = name.trim_end_matches('.').split('.').map(str::as_bytes).collect();
    raw(&labels, kind, 1)
}

fn raw(labels: &[&[u8]], kind: u16, class: u16) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("short"));
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&class.to_be_bytes());
    bytes
}

fn ask(bytes: &[u8]) -> Message {
    let answer = answer(bytes, &Fixed).expect("an answer");
    assert!(answer.len() <= MAX_ANSWER);
    assert_eq!(answer[..2], bytes[..2], "the id is the question's");
    Message::from_vec(&answer).expect("well-formed")
}

fn code(bytes: &[u8]) -> ResponseCode {
    let answer = ask(bytes);
    assert_eq!(answer.answers(), []);
    answer.response_code()
}

#[test]
fn a_name_that_may_be_reached_has_its_own_address_and_nothing_else() {
    let answer = ask(&question("allowed.example.", 1));
    assert_eq!(answer.response_code(), ResponseCode::NoError);
    let data: Vec<_> = answer.answers().iter().map(|record| (record.data().clone(), record.ttl())).collect();
    assert_eq!(data, [(RData::A(A(OWN)), 30)]);
    // AAAA, TXT, MX, SRV, HTTPS, NS, SOA, CNAME, NULL.
    for kind in [28, 16, 15, 33, 65, 2, 6, 5, 10, 65_400] {
        assert_eq!(code(&question("allowed.example.", kind)), ResponseCode::NoError, "type {kind}");
    }
}

#[test]
fn other_names_do_not_exist_whatever_is_asked_of_them() {
    for kind in [1, 28, 16, 12, 65] {
        assert_eq!(code(&question("denied.example.", kind)), ResponseCode::NXDomain, "type {kind}");
        assert_eq!(code(&question("c2VjcmV0.allowed.example.", kind)), ResponseCode::NXDomain, "type {kind}");
    }
    assert_eq!(code(&question("full.example.", 1)), ResponseCode::ServFail);
}

#[test]
fn the_question_comes_back_as_it_was_asked() {
    let bytes = question("aLLowed.eXample.", 1);
    let answer = answer(&bytes, &Fixed).expect("an answer");
    assert_eq!(answer[12..bytes.len()], bytes[12..]);
    assert_eq!(ask(&bytes).answers().len(), 1);
}

#[test]
fn labels_that_are_no_part_of_a_host_do_not_exist() {
    let check = |labels: &[&[u8]]| assert_eq!(code(&raw(labels, 1, 1)), ResponseCode::NXDomain, "{labels:?}");
    check(&[b"allowed.example"]);
    check(&[b"allowed", b"example\0"]);
    check(&[b"allowed", b"exa mple"]);
    check(&[b"\xc3\xa4llowed", b"example"]);
    check(&[b"127", b"0", b"0", b"1"]);
    check(&[b"0x7f", b"1"]);
    check(&[]);
}

#[test]
fn own_addresses_have_names_again() {
    let answer = ask(&question("77.4.18.198.in-addr.arpa.", 12));
    assert_eq!(answer.answers()[0].data().to_string(), "allowed.example.");
    for name in
        ["78.4.18.198.in-addr.arpa.", "1.0.0.127.in-addr.arpa.", "4.18.198.in-addr.arpa.", "1.ip6.arpa.", "arpa."]
    {
        assert_eq!(code(&question(name, 12)), ResponseCode::NXDomain, "{name}");
    }
    assert_eq!(code(&question("77.4.18.198.in-addr.arpa.", 1)), ResponseCode::NXDomain);
}

#[test]
fn whole_zones_everything_at_once_and_other_classes_are_refused() {
    for kind in [252, 251, 255] {
        assert_eq!(code(&question("allowed.example.", kind)), ResponseCode::Refused, "type {kind}");
    }
    for class in [3, 4, 254, 255] {
        assert_eq!(code(&raw(&[b"version", b"bind"], 16, class)), ResponseCode::Refused, "class {class}");
    }
}

#[test]
fn one_question_with_options_is_all_that_is_read() {
    let good = question("allowed.example.", 1);
    let with = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        bytes
    };
    assert_eq!(code(&with(5, 0)), ResponseCode::FormErr);
    assert_eq!(code(&with(5, 2)), ResponseCode::FormErr);
    for count in [6, 8, 10] {
        assert_eq!(code(&with(count, 0xff)), ResponseCode::FormErr, "count at {count}");
    }
    assert_eq!(code(&[&good[..], &[0]].concat()), ResponseCode::FormErr);
    assert_eq!(code(&good[..good.len() - 1]), ResponseCode::FormErr);
    // A name that points at itself.
    assert_eq!(code(&[&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat()), ResponseCode::FormErr);
    // Update.
    assert_eq!(code(&with(2, 0x28)), ResponseCode::NotImp);

    let mut options = with(11, 1);
    options.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(ask(&options).answers().len(), 1);
    let mut record = with(11, 1);
    record.extend_from_slice(&[0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4]);
    assert_eq!(code(&record), ResponseCode::FormErr);
}

#[test]
fn answers_and_crumbs_get_none() {
    let mut answer_to_us = question("allowed.example.", 1);
    answer_to_us[2] |= 0x80;
    assert_eq!(answer(&answer_to_us, &Fixed), None);
    for length in 0..12 {
        assert_eq!(answer(&question("allowed.example.", 1)[..length], &Fixed), None);
    }
}

#[test]
fn the_longest_name_fits() {
    let label = [b'a'; 63];
    let labels: [&[u8]; 4] = [&label, &label, &label, &label[..61]];
    assert_eq!(code(&raw(&labels, 1, 1)), ResponseCode::NXDomain);
}
