//! First messages: good ones, cut anywhere, and each thing that is refused.

use super::*;

fn vector16(content: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(content.len()).expect("short").to_be_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vector16(content)].concat()
}

fn sni(names: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|(kind, name)| [vec![*kind], vector16(name)].concat()).collect();
    extension(EXTENSION_SERVER_NAME, &vector16(&list))
}

fn named(name: &str) -> Vec<u8> {
    sni(&[(0, name.as_bytes())])
}

/// A handshake message with these extensions.
fn handshake(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    body.extend_from_slice(&vector16(&extensions.concat()));
    wrap(&body)
}

fn wrap(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[CLIENT_HELLO], &length[1..], body].concat()
}

fn record(content: &[u8]) -> Vec<u8> {
    [vec![CONTENT_HANDSHAKE, 3, 1], vector16(content)].concat()
}

fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    record(&handshake(extensions))
}

fn ordinary() -> Vec<u8> {
    hello(&[extension(43, &[2, 3, 4]), named("Example.com"), extension(16, b"\0\x0c\x02h2\x08http/1.1")])
}

fn host(name: &str) -> Option<Host> {
    Some(Host::Name(name.to_owned()))
}

#[test]
fn the_name_is_read() {
    let expected = Hello { name: host("example.com"), is_encrypted: false };
    assert_eq!(read(&ordinary()), Ok(Some(expected)));
}

#[test]
fn beginnings_are_incomplete_and_what_follows_in_other_records_does_not_matter() {
    let whole = ordinary();
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length]), Ok(None), "{length} bytes");
    }
    let early = [whole.clone(), vec![23, 3, 3, 0, 1, 0]].concat();
    assert_eq!(read(&early), read(&whole));
}

#[test]
fn cuts_into_records_do_not_matter() {
    let message = handshake(&[named("example.com")]);
    let expected = read(&record(&message));
    assert!(matches!(&expected, Ok(Some(hello)) if hello.name == host("example.com")));
    for cut in 1..message.len() {
        assert_eq!(read(&[record(&message[..cut]), record(&message[cut..])].concat()), expected, "cut at {cut}");
    }
    let crumbs = |size| message.chunks(size).flat_map(record).collect::<Vec<u8>>();
    assert_eq!(read(&crumbs(3)), expected);
    assert_eq!(read(&crumbs(1)), Err(HelloError::TooLong));
}

#[test]
fn a_message_without_name_or_extensions_is_one() {
    let nothing = Hello { name: None, is_encrypted: false };
    assert_eq!(read(&hello(&[])), Ok(Some(nothing.clone())));
    let mut body = vec![3, 1];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0, 0x2f, 1, 0]);
    assert_eq!(read(&record(&wrap(&body))), Ok(Some(nothing)));
}

#[test]
fn hidden_names_are_noticed() {
    for kind in EXTENSIONS_ENCRYPTED {
        let hello = read(&hello(&[named("example.com"), extension(kind, &[0, 1, 2])]));
        assert!(hello.is_ok_and(|hello| hello.is_some_and(|hello| hello.is_encrypted)), "{kind:x}");
    }
}

#[test]
fn names_that_two_readers_could_read_differently_are_refused() {
    let check = |extensions: &[Vec<u8>], expected| assert_eq!(read(&hello(extensions)), Err(expected));
    check(&[sni(&[(0, b"a.example"), (0, b"b.example")])], HelloError::Name);
    check(&[sni(&[(0, b"a.example"), (1, b"b.example")])], HelloError::Name);
    check(&[sni(&[(1, b"a.example")])], HelloError::Name);
    check(&[named("a.example"), named("b.example")], HelloError::Repeated);
    check(&[named("a.example"), extension(43, &[]), extension(43, &[])], HelloError::Repeated);
    check(&[sni(&[])], HelloError::Malformed);
    check(&[extension(EXTENSION_SERVER_NAME, &[])], HelloError::Malformed);
    for name in [
        "",
        ".",
        "a.example.",
        ".a.example",
        "a..example",
        "a.example\0",
        "a.example\0.b.example",
        "a example",
        "*.example",
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "::1",
        "[::1]",
        "a.example:443",
        "a.example/",
        "bücher.example",
        "a%2eexample",
    ] {
        check(&[named(name)], HelloError::Name);
    }
    check(&[sni(&[(0, b"\xff\xfe.example")])], HelloError::Name);
    check(&[named(&"a".repeat(300))], HelloError::Name);
}

#[test]
fn lengths_that_do_not_add_up_are_refused() {
    let message = handshake(&[named("example.com")]);
    // More in the record than the message: a second one behind it.
    assert_eq!(read(&record(&[message.clone(), vec![0]].concat())), Err(HelloError::Malformed));
    assert_eq!(read(&record(&[message.clone(), message.clone()].concat())), Err(HelloError::Malformed));
    // More in the message than its parts.
    assert_eq!(read(&record(&wrap(&[&message[4..], &[0]].concat()))), Err(HelloError::Malformed));
    assert_eq!(read(&record(&wrap(&message[4..message.len() - 1]))), Err(HelloError::Malformed));
    assert_eq!(read(&hello(&[vec![0]])), Err(HelloError::Malformed));
    assert_eq!(read(&hello(&[extension(EXTENSION_SERVER_NAME, b"\0\x02\0\0\0")])), Err(HelloError::Malformed));
    assert_eq!(read(&[CONTENT_HANDSHAKE, 3, 1, 0, 0]), Err(HelloError::Malformed));
    assert_eq!(read(&record(&[2, 0, 0, 0])), Err(HelloError::Malformed));
}

#[test]
fn other_protocols_are_seen_at_their_first_bytes() {
    for other in ["GET / HTTP/1.1\r\n", "SSH-2.0-", "\x05\x01\0", "\u{16}\u{2}", "\u{16}\u{3}\u{5}", "\u{17}\u{3}\u{3}"]
    {
        assert_eq!(read(other.as_bytes()), Err(HelloError::NotTls), "{other:?}");
    }
    // The oldest form, without records.
    assert_eq!(read(&[0x80, 0x2e, 1, 3, 1]), Err(HelloError::NotTls));
}

#[test]
fn long_messages_are_refused_as_soon_as_they_say_so() {
    assert_eq!(read(&record(&[CLIENT_HELLO, 0, 0x40, 0])[..9]), Err(HelloError::TooLong));
    assert_eq!(read(&record(&[CLIENT_HELLO, 0xff, 0xff, 0xff])[..9]), Err(HelloError::TooLong));
    let padded = hello(&[extension(21, &vec![0; 15 * 1024]), named("example.com")]);
    assert!(matches!(read(&padded), Ok(Some(hello)) if hello.name == host("example.com")));
}
