//! Asking before something that cannot be taken back.

use std::io::{self, BufRead as _};

use boxwood_protocol::{ErrorCode, RpcError};

use crate::output::{Screen, Style};

/// Asks a question whose answer is no unless the person says yes. Where nobody can be asked, says which flag answers.
pub(crate) async fn confirm(screen: Screen, question: &str, flag: &str) -> Result<(), RpcError> {
    if !screen.is_interactive || screen.json {
        return Err(RpcError::new(ErrorCode::InvalidParams, "this needs a yes, and nobody can be asked here")
            .hint(format!("add {flag} if you mean it")));
    }
    let question = format!("{} [y/N] ", screen.messages.paint(Style::Warning, question));
    match read_answer(screen, &question).await? {
        answer if is_yes(&answer) => Ok(()),
        _ => Err(RpcError::new(ErrorCode::Cancelled, "nothing was done")),
    }
}

/// Asks on the same line and gives what the person wrote; nothing when they wrote nothing, or pressed Ctrl-C.
pub(crate) async fn read_answer(screen: Screen, question: &str) -> Result<String, RpcError> {
    screen.prompt(question);
    let unread = |error: &dyn std::fmt::Display| {
        RpcError::new(ErrorCode::Cancelled, "the answer could not be read").caused_by(error)
    };
    // An operation before may have taken over Ctrl-C, so it is watched for here.
    let answer = tokio::select! {
        answer = tokio::task::spawn_blocking(read_line) => answer.map_err(|error| unread(&error))?,
        _ = tokio::signal::ctrl_c() => Ok(String::new()),
    };
    answer.map_err(|error| unread(&error))
}

fn read_line() -> io::Result<String> {
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for answer in ["y", " YES \n", "Yes"] {
            assert!(is_yes(answer), "{answer}");
        }
        for answer in ["", "\n", "n", "yeah", "no"] {
            assert!(!is_yes(answer), "{answer}");
        }
    }
}
