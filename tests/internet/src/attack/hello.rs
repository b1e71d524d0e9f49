//! The first message of TLS, well made or not. Wishes are joined by `,`:
//!
//! - `name=BYTES`: the name of the server; more than one make a list of several;
//! - `again=BYTES`: a second list in an extension of its own;
//! - `encrypted`: with the extension of an encrypted message;
//! - `old`: as TLS 1.0 would; `ancient`: as SSL 2 would;
//! - `split=BYTES`: in records of at most so many bytes; `padded=BYTES`: longer by so many.

use std::io::{self, Error, Read as _};

use super::bytes::unescaped;

#[derive(Default)]
struct Wishes {
    names: Vec<Vec<u8>>,
    again: Vec<Vec<u8>>,
    is_encrypted: bool,
    is_old: bool,
    split: Option<usize>,
    padded: usize,
}

/// The bytes, in the pieces in which they are to be sent.
pub(crate) fn records(text: &str) -> io::Result<Vec<Vec<u8>>> {
    let mut wishes = Wishes::default();
    for wish in text.split(',').filter(|wish| !wish.is_empty()) {
        let (word, value) = wish.split_once('=').unwrap_or((wish, ""));
        let number = || value.parse::<usize>().map_err(Error::other);
        match word {
            "name" => wishes.names.push(unescaped(value)),
            "again" => wishes.again.push(unescaped(value)),
            "encrypted" => wishes.is_encrypted = true,
            "old" => wishes.is_old = true,
            "ancient" => return Ok(vec![ancient()?]),
            "split" => wishes.split = Some(number()?.max(1)),
            "padded" => wishes.padded = number()?,
            _ => return Err(Error::other(format!("there is no wish '{word}'"))),
        }
    }
    let message = message(&wishes)?;
    let most = wishes.split.unwrap_or(16 * 1024);
    let record = |piece: &[u8]| [&[0x16, 3, 1][..], &short(piece.len()), piece].concat();
    Ok(message.chunks(most).map(record).collect())
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// A length of two bytes and what is so long.
fn counted(contents: &[u8]) -> Vec<u8> {
    [&short(contents.len())[..], contents].concat()
}

fn random(length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn extension(number: u16, contents: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &counted(contents)].concat()
}

fn server_names(names: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|name| [&[0][..], &counted(name)].concat()).collect();
    extension(0, &counted(&list))
}

fn message(wishes: &Wishes) -> io::Result<Vec<u8>> {
    let mut extensions = Vec::new();
    if !wishes.names.is_empty() {
        extensions.extend(server_names(&wishes.names));
    }
    if !wishes.again.is_empty() {
        extensions.extend(server_names(&wishes.again));
    }
    extensions.extend(extension(0xff01, &[0]));
    extensions.extend(extension(10, &counted(&[0, 29, 0, 23, 0, 24])));
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &counted(&[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1, 2, 1])));
    extensions.extend(extension(16, &counted(b"\x08http/1.1")));
    if !wishes.is_old {
        extensions.extend(extension(43, &[4, 3, 4, 3, 3]));
        extensions.extend(extension(51, &counted(&[&[0, 29][..], &counted(&random(32)?)].concat())));
    }
    if wishes.is_encrypted {
        // Outer, HKDF-SHA256 with AES-128-GCM, a configuration's number, a key, what is hidden.
        let inner = [&[0, 0, 1, 0, 1, 42][..], &counted(&random(32)?), &counted(&random(160)?)].concat();
        extensions.extend(extension(0xfe0d, &inner));
    }
    if wishes.padded > 0 {
        extensions.extend(extension(21, &vec![0; wishes.padded]));
    }
    let version: [u8; 2] = if wishes.is_old { [3, 1] } else { [3, 3] };
    let ciphers =
        counted(&[0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xc0, 9, 0, 0x2f]);
    let session = [&[32][..], &random(32)?].concat();
    let body = [&version[..], &random(32)?, &session, &ciphers, &[1, 0], &counted(&extensions)].concat();
    let length = u32::try_from(body.len()).map_err(Error::other)?.to_be_bytes();
    Ok([&[1][..], &length[1..], &body].concat())
}

fn ancient() -> io::Result<Vec<u8>> {
    let body = [&[1, 3, 1, 0, 6, 0, 0, 0, 16, 7, 0, 0xc0, 0, 0, 0x2f][..], &random(16)?].concat();
    Ok([&[0x80, u8::try_from(body.len()).unwrap_or_default()][..], &body].concat())
}
