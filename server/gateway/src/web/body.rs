//! Bodies on their way through: counted, slowed down when they must be, and otherwise as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep_until};

use crate::flows::Flow;
use crate::inject::Injection;
use crate::io::Busy;

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Its sender failed.
    #[error(transparent)]
    Failed(#[from] hyper::Error),
    /// More was sent than one connection may send.
    #[error("it sent more than one connection may")]
    Limit,
}

enum Content {
    Own(Full<Bytes>),
    Up {
        incoming: Incoming,
        flow: Arc<Flow>,
        injection: Option<Arc<Injection>>,
        waiting: Option<(Pin<Box<Sleep>>, Frame<Bytes>)>,
    },
    Down {
        incoming: Incoming,
        flow: Arc<Flow>,
    },
}

/// The end of a request, however it comes.
pub struct BusyUntilDropped(Busy);

impl BusyUntilDropped {
    /// From now on.
    #[must_use]
    pub fn new(busy: &Busy) -> Self {
        busy.begin();
        Self(busy.clone())
    }
}

impl Drop for BusyUntilDropped {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A body.
pub struct Body {
    content: Content,
    _busy: Option<BusyUntilDropped>,
}

impl Body {
    /// A text of our own.
    #[must_use]
    pub fn text(text: String) -> Self {
        Self { content: Content::Own(Full::new(text.into())), _busy: None }
    }

    /// What the client sends; `injection` is what becomes of its headers, and so of its trailers.
    #[must_use]
    pub fn up(incoming: Incoming, flow: Arc<Flow>, injection: Option<Arc<Injection>>) -> Self {
        Self { content: Content::Up { incoming, flow, injection, waiting: None }, _busy: None }
    }

    /// What the server sends.
    #[must_use]
    pub fn down(incoming: Incoming, flow: Arc<Flow>) -> Self {
        Self { content: Content::Down { incoming, flow }, _busy: None }
    }

    /// With the end of the request, which is this body's.
    #[must_use]
    pub fn until_dropped(self, busy: BusyUntilDropped) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

fn length(frame: &Frame<Bytes>) -> usize {
    frame.data_ref().map_or(0, Bytes::len)
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.content {
            Content::Own(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Content::Down { incoming, flow } => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx)?);
                flow.count_down(frame.as_ref().map_or(0, length));
                Poll::Ready(frame.map(Ok))
            }
            Content::Up { incoming, flow, injection, waiting } => {
                if waiting.is_none() {
                    let Some(mut frame) = ready!(Pin::new(incoming).poll_frame(cx)?) else { return Poll::Ready(None) };
                    if let (Some(trailers), Some(injection)) = (frame.trailers_mut(), injection) {
                        injection.clean(trailers);
                    }
                    let length = length(&frame);
                    if !flow.count_up(length) {
                        flow.refuse_upload();
                        return Poll::Ready(Some(Err(BodyError::Limit)));
                    }
                    match flow.state().pace.take(length) {
                        None => return Poll::Ready(Some(Ok(frame))),
                        Some(moment) => *waiting = Some((Box::pin(sleep_until(moment)), frame)),
                    }
                }
                if let Some((sleep, _)) = waiting {
                    ready!(sleep.as_mut().poll(cx));
                }
                Poll::Ready(waiting.take().map(|(_, frame)| Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(text) => text.is_end_stream(),
            Content::Up { incoming, waiting, .. } => waiting.is_none() && incoming.is_end_stream(),
            Content::Down { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(text) => text.size_hint(),
            Content::Up { incoming, .. } | Content::Down { incoming, .. } => incoming.size_hint(),
        }
    }
}
