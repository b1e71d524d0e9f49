//! What a build or a pull says, as lines for a person to read.

use std::collections::HashMap;
use std::collections::VecDeque;

use bollard::models::BuildInfo;
use futures::{Stream, StreamExt, stream};

use crate::EngineStream;
use crate::error::EngineError;

/// The layers being fetched. The engine repeats a layer's status with every kilobyte; a line is worth its change.
#[derive(Default)]
pub(super) struct Fetching {
    statuses: HashMap<String, String>,
}

impl Fetching {
    pub(super) fn line(&mut self, id: Option<String>, status: Option<String>) -> Option<String> {
        let status = status.filter(|status| !status.is_empty())?;
        let Some(id) = id.filter(|id| !id.is_empty()) else { return Some(status) };
        let line = format!("{id}: {status}");
        let before = self.statuses.insert(id, status.clone());
        (before.as_ref() != Some(&status)).then_some(line)
    }
}

/// Lines of a build, put together from pieces that end anywhere.
pub(super) struct Lines<S> {
    messages: S,
    fetching: Fetching,
    partial: String,
    ready: VecDeque<String>,
    failure: Option<EngineError>,
    is_over: bool,
}

impl<S> Lines<S>
where
    S: Stream<Item = Result<BuildInfo, EngineError>> + Send + 'static,
{
    pub(super) fn of_build(messages: S) -> EngineStream<String> {
        let lines = Lines {
            messages: Box::pin(messages),
            fetching: Fetching::default(),
            partial: String::new(),
            ready: VecDeque::new(),
            failure: None,
            is_over: false,
        };
        Box::pin(stream::unfold(lines, |mut lines| async move { lines.next().await.map(|line| (line, lines)) }))
    }
}

impl<S: Stream<Item = Result<BuildInfo, EngineError>> + Unpin> Lines<S> {
    async fn next(&mut self) -> Option<Result<String, EngineError>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if let Some(failure) = self.failure.take() {
                return Some(Err(failure));
            }
            if self.is_over {
                return None;
            }
            match self.messages.next().await {
                Some(Ok(message)) => self.take(message),
                Some(Err(failure)) => self.end(Some(failure)),
                None => self.end(None),
            }
        }
    }

    fn take(&mut self, message: BuildInfo) {
        if let Some(text) = message.stream {
            self.partial.push_str(&text);
            while let Some(end) = self.partial.find('\n') {
                let rest = self.partial.split_off(end + 1);
                let line = std::mem::replace(&mut self.partial, rest);
                self.push(&line);
            }
        } else if let Some(line) = self.fetching.line(message.id, message.status) {
            self.push(&line);
        }
    }

    /// A line drawn over itself with carriage returns counts as it looks at the end.
    fn push(&mut self, line: &str) {
        let line = line.trim_end();
        let line = line.rsplit('\r').next().unwrap_or(line);
        if !line.is_empty() {
            self.ready.push_back(line.to_owned());
        }
    }

    fn end(&mut self, failure: Option<EngineError>) {
        let last = std::mem::take(&mut self.partial);
        self.push(&last);
        self.failure = failure;
        self.is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(messages: Vec<Result<BuildInfo, EngineError>>) -> Vec<Result<String, String>> {
        let lines = Lines::of_build(stream::iter(messages));
        lines.map(|line| line.map_err(|error| error.to_string())).collect().await
    }

    fn said(text: &str) -> Result<BuildInfo, EngineError> {
        Ok(BuildInfo { stream: Some(text.to_owned()), ..BuildInfo::default() })
    }

    fn fetched(id: &str, status: &str) -> Result<BuildInfo, EngineError> {
        Ok(BuildInfo { id: Some(id.to_owned()), status: Some(status.to_owned()), ..BuildInfo::default() })
    }

    #[tokio::test]
    async fn pieces_become_lines() {
        let found = lines(vec![said("Step 1"), said("/2 : FROM x\n\n ---> "), said("abc\nlast")]).await;
        assert_eq!(found, ["Step 1/2 : FROM x", " ---> abc", "last"].map(|line| Ok(line.to_owned())));
    }

    #[tokio::test]
    async fn a_progress_bar_is_one_line() {
        assert_eq!(lines(vec![said("10%\r50%\r100%\r\n")]).await, [Ok("100%".to_owned())]);
    }

    #[tokio::test]
    async fn a_layer_is_named_when_its_status_changes() {
        let found = lines(vec![fetched("a", "Downloading"), fetched("a", "Downloading"), fetched("a", "Done")]).await;
        assert_eq!(found, ["a: Downloading", "a: Done"].map(|line| Ok(line.to_owned())));
    }

    #[tokio::test]
    async fn what_was_said_comes_before_why_it_failed() {
        let failure = Err(EngineError::Image("returned a non-zero code: 1".to_owned()));
        let found = lines(vec![said("E: no such package"), failure]).await;
        assert_eq!(found, [Ok("E: no such package".to_owned()), Err("returned a non-zero code: 1".to_owned())]);
    }
}
