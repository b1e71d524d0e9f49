//! An error in words: what failed, what led to it, what to do next.

use std::fmt::Write as _;

use boxwood_protocol::RpcError;

use super::style::{Paint, Style};
use super::table::one_line;

/// The error as several lines without a line break at the end.
pub(crate) fn render(error: &RpcError, paint: Paint) -> String {
    let mut text = format!("{} {}", paint.paint(Style::Bad, "error:"), one_line(&error.message));
    for cause in &error.causes {
        // What an engine or a build said may have lines of its own.
        for (index, line) in cause.trim_end().lines().enumerate() {
            let lead = if index == 0 { "  because " } else { "          " };
            let _ = write!(text, "\n{}{}", paint.paint(Style::Dim, lead), one_line(line));
        }
    }
    if let Some(hint) = &error.hint {
        let _ = write!(text, "\n{} {}", paint.paint(Style::Hint, "next:"), one_line(hint));
    }
    if let Some(trace) = &error.trace_id {
        let _ = write!(text, "\n{}", paint.paint(Style::Dim, &format!("trace: {}", one_line(trace))));
    }
    text
}

#[cfg(test)]
mod tests {
    use boxwood_protocol::ErrorCode;

    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let mut error = RpcError::new(ErrorCode::EngineUnavailable, "no engine answers at unix:///run/docker.sock")
            .caused_by("connection refused\nthe socket is stale");
        error.trace_id = Some("0123456789abcdef0123456789abcdef".to_owned());
        insta::assert_snapshot!(render(&error, Paint::new(false)), @r"
        error: no engine answers at unix:///run/docker.sock
          because connection refused
                  the socket is stale
        next: start Docker, or point DOCKER_HOST or the docker context at a running engine; 'boxwood doctor' shows what was tried
        trace: 0123456789abcdef0123456789abcdef
        ");
    }

    #[test]
    fn an_error_without_a_next_step_is_one_line() {
        let error = RpcError::new(ErrorCode::InvalidParams, "no\x1b[31m");
        assert_eq!(render(&error, Paint::new(false)), "error: no\\u{1b}[31m");
    }
}
