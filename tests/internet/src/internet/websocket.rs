//! A web socket that gives back every message.

use std::io;

use base64::Engine as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Longest message, bytes.
const LONGEST: usize = 1 << 20;

/// What a server answers to a client's key, RFC 6455.
pub(crate) fn accept(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// Gives back messages until the client closes.
pub(crate) async fn echo(upgraded: Upgraded) -> io::Result<()> {
    let mut stream = TokioIo::new(upgraded);
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        let length = match head[1] & 0x7f {
            126 => usize::from(stream.read_u16().await?),
            127 => usize::try_from(stream.read_u64().await?).map_err(io::Error::other)?,
            length => usize::from(length),
        };
        if length > LONGEST {
            return Err(io::Error::other("a message is too long"));
        }
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let mut frame = vec![head[0]];
        match length {
            0..=125 => frame.push(u8::try_from(length).unwrap_or_default()),
            126..=0xffff => {
                frame.push(126);
                frame.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        stream.write_all(&frame).await?;
        if head[0] & 0xf == 8 {
            return Ok(());
        }
    }
}
