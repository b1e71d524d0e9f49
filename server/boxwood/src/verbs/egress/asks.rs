//! `egress ask`: connections that wait, and the person's answers.

use std::collections::VecDeque;

use boxwood_client::Connection;
use boxwood_protocol::contract::{EgressAsks, EgressDecide, Inspect};
use boxwood_protocol::egress::{EgressAnswer, EgressAsk, EgressDecideParams};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::{ErrorCode, Event, RpcError};
use jiff::Timestamp;

use super::words;
use crate::args::TargetArguments;
use crate::consent::read_answer;
use crate::context::Context;
use crate::output::Style;
use crate::output::table::one_line;
use crate::verbs::Outcome;

const CHOICES: &str = "[o]nce, [s]ession, [p]roject, [d]eny, [a]lways deny, Enter to leave it waiting: ";

pub(super) async fn ask(target: TargetArguments, follow: bool, context: &Context) -> Outcome {
    let target = context.target(target)?;
    let connection = context.connect().await?;
    let is_asking = context.screen.is_interactive && !context.screen.json;
    if follow {
        return follow_asks(&connection, context, &target, is_asking).await;
    }
    let asks = connection.call::<EgressAsks>(&target).await?;
    if asks.is_empty() {
        context.screen.note("No connection waits. 'boxwood egress ask --follow' waits for the next.");
    }
    if !is_asking {
        context.screen.show(&asks, |paint| words::asks(&asks, paint, Timestamp::now()))?;
        return Ok(0);
    }
    for ask in &asks {
        if !answer(&connection, context, &target, ask).await? {
            break;
        }
    }
    Ok(0)
}

/// Asks about one connection. False when the person has had enough.
async fn answer(
    connection: &Connection,
    context: &Context,
    target: &SandboxRef,
    ask: &EgressAsk,
) -> Result<bool, RpcError> {
    let screen = context.screen;
    let what = screen.messages.paint(Style::Head, &one_line(&words::place(&ask.host, ask.port)));
    screen.note(&format!("{what} waits ({})", words::waiting(ask, Timestamp::now())));
    let answer = loop {
        let answer = read_answer(screen, CHOICES).await?;
        match understand(&answer) {
            Choice::Answer(answer) => break answer,
            Choice::Later => return Ok(true),
            Choice::Leave => return Ok(false),
            Choice::Unknown => {}
        }
    };
    // Looked at again: the person may have taken a while, and other connections to the host came and went.
    let waiting = connection.call::<EgressAsks>(target).await?;
    let host = host_of(ask, answer, &waiting);
    let params = EgressDecideParams { target: target.clone(), host: host.clone(), answer };
    match connection.call::<EgressDecide>(&params).await {
        Ok(_) => screen.note(words::answered(&host, answer).trim_end()),
        // It gave up, or somebody else answered.
        Err(problem) if problem.code == ErrorCode::EgressNothing => screen.note("It no longer waits."),
        Err(problem) => return Err(problem),
    }
    Ok(true)
}

/// What an answer is about: never more than the person saw. What is decided for longer is decided for a site, not for
/// one of its two usual ports; but a host without a port may stand for every port that waits.
fn host_of(ask: &EgressAsk, answer: EgressAnswer, waiting: &[EgressAsk]) -> String {
    let is_web = |port: u16| matches!(port, 80 | 443);
    let is_for_now = matches!(answer, EgressAnswer::AllowOnce | EgressAnswer::Deny);
    let is_only_web = is_web(ask.port) && waiting.iter().all(|other| other.host != ask.host || is_web(other.port));
    if is_only_web && !is_for_now { ask.host.clone() } else { words::place(&ask.host, ask.port) }
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Answer(EgressAnswer),
    Later,
    /// The input ended, or Ctrl-C.
    Leave,
    Unknown,
}

fn understand(line: &str) -> Choice {
    match line.trim().to_lowercase().as_str() {
        "" if line.is_empty() => Choice::Leave,
        "" => Choice::Later,
        "o" | "once" => Choice::Answer(EgressAnswer::AllowOnce),
        "s" | "session" => Choice::Answer(EgressAnswer::AllowSession),
        "p" | "project" => Choice::Answer(EgressAnswer::AllowProject),
        "d" | "deny" => Choice::Answer(EgressAnswer::Deny),
        "a" | "always" | "always deny" => Choice::Answer(EgressAnswer::DenyAlways),
        _ => Choice::Unknown,
    }
}

/// Shows each connection once as it begins to wait, and asks about it where somebody can be asked.
async fn follow_asks(connection: &Connection, context: &Context, target: &SandboxRef, is_asking: bool) -> Outcome {
    let sandbox = connection.call::<Inspect>(target).await?.sandbox.id;
    let mut events = connection.subscribe(&SubscribeParams::default()).await?;
    let mut pending: VecDeque<EgressAsk> = VecDeque::new();
    let mut shown: Vec<String> = Vec::new();
    loop {
        while let Some(ask) = pending.pop_front() {
            if shown.contains(&ask.id) {
                continue;
            }
            shown.push(ask.id.clone());
            match (is_asking, context.screen.json) {
                (true, _) => {
                    if !answer(connection, context, target, &ask).await? {
                        return Ok(0);
                    }
                }
                (false, true) => context.screen.json_line(&ask)?,
                (false, false) => context.screen.print(&words::asked(&ask, Timestamp::now()))?,
            }
        }
        match events.next().await {
            Some(Event::Snapshot { mut asks, .. }) => pending.extend(asks.remove(&sandbox).unwrap_or_default()),
            Some(Event::EgressAsking { sandbox_id, ask }) if sandbox_id == sandbox => pending.push_back(ask),
            Some(Event::EgressAsked { sandbox_id, ask_id }) if sandbox_id == sandbox => {
                shown.retain(|id| *id != ask_id);
            }
            Some(Event::SandboxRemoved { id }) if id == sandbox => {
                context.screen.note("The sandbox is gone.");
                return Ok(0);
            }
            Some(_) => {}
            None => return Err(RpcError::new(ErrorCode::DaemonUnavailable, "the daemon stopped sending questions")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        assert_eq!(understand(""), Choice::Leave);
        assert_eq!(understand("\n"), Choice::Later);
        assert_eq!(understand("S\n"), Choice::Answer(EgressAnswer::AllowSession));
        assert_eq!(understand("always\r\n"), Choice::Answer(EgressAnswer::DenyAlways));
        assert_eq!(understand("yes\n"), Choice::Unknown);
    }
    #[test]
    fn an_answer_is_about_what_was_shown_and_nothing_more() {
        let ask =
            |host: &str, port: u16| EgressAsk { id: "1".into(), host: host.into(), port, waiting: 1, until_ms: 0 };
        let (web, ssh, other) = (ask("a.example", 443), ask("a.example", 22), ask("b.example", 22));
        let check = |ask: &EgressAsk, answer, waiting: &[&EgressAsk], expected: &str| {
            let waiting: Vec<EgressAsk> = waiting.iter().map(|ask| (*ask).clone()).collect();
            assert_eq!(host_of(ask, answer, &waiting), expected);
        };
        use EgressAnswer::{AllowOnce, AllowProject, AllowSession, Deny, DenyAlways};
        check(&web, AllowOnce, &[&web], "a.example:443");
        check(&web, Deny, &[&web], "a.example:443");
        check(&web, AllowProject, &[&web, &other], "a.example");
        check(&web, DenyAlways, &[&web, &ask("a.example", 80)], "a.example");
        // Whoever allows the web does not allow SSH, also when only that still waits.
        check(&web, AllowProject, &[&web, &ssh], "a.example:443");
        check(&web, AllowSession, &[&ssh], "a.example:443");
        check(&ssh, AllowProject, &[&web, &ssh], "a.example:22");
        check(&ask("fd00::1", 22), AllowProject, &[], "[fd00::1]:22");
    }
}
