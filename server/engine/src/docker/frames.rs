//! A command's output on the wire: frames of standard output and standard error, or plain bytes when it has a terminal.
//!
//! Decoded here rather than by bollard, which takes a terminal's bytes below 3 for the beginning of a frame.

use bytes::{Buf, Bytes, BytesMut};
use futures::stream;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::EngineStream;
use crate::error::EngineError;
use crate::spec::{Output, OutputStream};

const HEADER: usize = 8;
const CHUNK: usize = 16 * 1024;

/// Everything as standard output, as it comes.
pub(super) fn plain(reader: impl AsyncRead + Send + Unpin + 'static) -> EngineStream<Output> {
    Box::pin(stream::try_unfold(reader, |mut reader| async move {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        let read = reader.read_buf(&mut buffer).await.map_err(|error| broken(&error))?;
        let output = Output { stream: OutputStream::Stdout, bytes: buffer.freeze() };
        Ok((read > 0).then_some((output, reader)))
    }))
}

/// Standard output and standard error apart. A frame is handed on in pieces as it arrives.
pub(super) fn framed(reader: impl AsyncRead + Send + Unpin + 'static) -> EngineStream<Output> {
    let frames = Frames { reader, buffer: BytesMut::with_capacity(CHUNK), open: None };
    Box::pin(stream::try_unfold(
        frames,
        |mut frames| async move { Ok(frames.next().await?.map(|output| (output, frames))) },
    ))
}

struct Frames<R> {
    reader: R,
    buffer: BytesMut,
    /// The frame being read, and how much of it is to come.
    open: Option<(Source, usize)>,
}

#[derive(Clone, Copy)]
enum Source {
    Stdout,
    Stderr,
    /// The engine itself, with the reason why it ends the stream.
    Engine,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    async fn next(&mut self) -> Result<Option<Output>, EngineError> {
        loop {
            if let Some(output) = self.take()? {
                return Ok(Some(output));
            }
            if self.reader.read_buf(&mut self.buffer).await.map_err(|error| broken(&error))? == 0 {
                let is_whole = self.buffer.is_empty() && self.open.is_none();
                return if is_whole { Ok(None) } else { Err(EngineError::Broken("the output ended early".to_owned())) };
            }
        }
    }

    fn take(&mut self) -> Result<Option<Output>, EngineError> {
        loop {
            match self.open {
                Some((_, 0)) => self.open = None,
                Some((Source::Engine, length)) if self.buffer.len() < length => return Ok(None),
                Some((Source::Engine, length)) => {
                    let message = self.buffer.split_to(length);
                    return Err(EngineError::Broken(String::from_utf8_lossy(&message).trim().to_owned()));
                }
                Some(_) if self.buffer.is_empty() => return Ok(None),
                Some((source, length)) => {
                    let taken = length.min(self.buffer.len());
                    let bytes: Bytes = self.buffer.split_to(taken).freeze();
                    self.open = Some((source, length - taken));
                    let stream = match source {
                        Source::Stderr => OutputStream::Stderr,
                        Source::Stdout | Source::Engine => OutputStream::Stdout,
                    };
                    return Ok(Some(Output { stream, bytes }));
                }
                None if self.buffer.len() < HEADER => return Ok(None),
                None => {
                    let source = match self.buffer[0] {
                        0 | 1 => Source::Stdout,
                        2 => Source::Stderr,
                        3 => Source::Engine,
                        other => return Err(EngineError::Broken(format!("the output has a frame of kind {other}"))),
                    };
                    self.buffer.advance(4);
                    let length = self.buffer.get_u32() as usize;
                    self.open = Some((source, length));
                }
            }
        }
    }
}

fn broken(error: &std::io::Error) -> EngineError {
    EngineError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn frame(kind: u8, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("a short text").to_be_bytes();
        [&[kind, 0, 0, 0], length.as_slice(), text].concat()
    }

    /// Reads what is written in pieces of `size` bytes; gives both outputs and how it ended.
    async fn read(wire: Vec<u8>, size: usize) -> (Vec<u8>, Vec<u8>, Option<String>) {
        let (mut writer, reader) = tokio::io::duplex(64);
        let write = tokio::spawn(async move {
            for piece in wire.chunks(size) {
                if writer.write_all(piece).await.is_err() {
                    break;
                }
            }
        });
        let (mut stdout, mut stderr, mut error) = (Vec::new(), Vec::new(), None);
        let mut frames = framed(reader);
        while let Some(item) = frames.next().await {
            match item {
                Ok(Output { stream: OutputStream::Stdout, bytes }) => stdout.extend_from_slice(&bytes),
                Ok(Output { stream: OutputStream::Stderr, bytes }) => stderr.extend_from_slice(&bytes),
                Err(reason) => {
                    error = Some(reason.to_string());
                    break;
                }
            }
        }
        drop(frames);
        write.await.expect("the writer ends");
        (stdout, stderr, error)
    }

    #[tokio::test]
    async fn outputs_come_apart_however_the_bytes_arrive() {
        let long = vec![b'x'; 300];
        let wire = [frame(1, b"one"), frame(2, &long), frame(1, b""), frame(1, b"\0two")].concat();
        for size in [1, 7, 8, 9, 1000] {
            assert_eq!(read(wire.clone(), size).await, (b"one\0two".to_vec(), long.clone(), None));
        }
    }

    #[tokio::test]
    async fn a_stream_cut_in_a_frame_is_an_error() {
        let mut wire = frame(1, b"whole");
        wire.extend_from_slice(&frame(2, b"half")[..10]);
        let (stdout, _, error) = read(wire, 5).await;
        assert_eq!(stdout, b"whole");
        assert!(error.is_some_and(|reason| reason.contains("ended early")));
    }

    #[tokio::test]
    async fn the_engines_own_words_end_the_stream() {
        let (_, _, error) = read(frame(3, b"lost the container\n"), 3).await;
        assert!(error.is_some_and(|reason| reason.ends_with("lost the container")));
    }

    #[tokio::test]
    async fn a_terminals_bytes_are_left_alone() {
        let (mut writer, reader) = tokio::io::duplex(64);
        writer.write_all(b"\x01\x00\x00\x00\x00\x00\x00\x02hi").await.expect("it fits");
        drop(writer);
        let pieces: Vec<_> = plain(reader).collect().await;
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.expect("no error").bytes).collect();
        assert_eq!(bytes, b"\x01\x00\x00\x00\x00\x00\x00\x02hi");
    }
}
