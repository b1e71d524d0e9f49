//! `login`: the person's side of a sign-in that the daemon has the real `claude` do.

mod browser;
mod hidden;

use boxwood_client::Connection;
use boxwood_protocol::contract::{AcceptLogin, LoginCode, StartLogin};
use boxwood_protocol::credentials::CredentialsStatus;
use boxwood_protocol::login::{LoginAcceptParams, LoginAsk, LoginCodeParams, LoginStartParams};
use boxwood_protocol::{ErrorCode, Event, RpcError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Outcome;
use crate::args::LoginArguments;
use crate::consent::{confirm, read_answer};
use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::output::{Paint, Screen, Style};

const QUESTION: &str = if cfg!(unix) { "Code (not shown while you type): " } else { "Code: " };

pub(super) async fn login(arguments: LoginArguments, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    let is_browser_used =
        !arguments.no_browser && browser::is_at_hand(context.screen, &|name| std::env::var(name).ok());
    let mut params =
        LoginStartParams { kind: arguments.kind(), home: arguments.home, target: None, replace: arguments.replace };
    loop {
        match sign_in(&connection, context.screen, &params, is_browser_used).await {
            Err(problem) if problem.code == ErrorCode::LoginExists && !params.replace => {
                let question = format!("{}. Sign in again?", sentence(&problem.message));
                confirm(context.screen, &question, "--replace").await?;
                params.replace = true;
            }
            status => {
                let status = status?;
                context.screen.show(&status, |paint| words(&status, paint))?;
                return Ok(0);
            }
        }
    }
}

/// Signs in once, from the first step to the one end.
async fn sign_in(
    connection: &Connection,
    screen: Screen,
    params: &LoginStartParams,
    is_browser_used: bool,
) -> Result<CredentialsStatus, RpcError> {
    let interrupt = Interrupt::cancelling(screen)?;
    let (sender, asks) = unbounded_channel();
    let mut last = String::new();
    let on_event = |event: &Event| match event {
        Event::LoginAsks { operation_id, ask } => {
            // The one who listens has gone when it is over.
            let _ = sender.send((operation_id.clone(), ask.clone()));
        }
        Event::OperationProgress { message, .. } if *message != last => {
            screen.note(&format!("{message}…"));
            last.clone_from(message);
        }
        _ => {}
    };
    let mut running = std::pin::pin!(connection.run::<StartLogin>(params, interrupt.cancel(), on_event));
    let mut answering = Box::pin(answer(connection, screen, asks, is_browser_used));
    let problem = tokio::select! {
        biased;
        () = interrupt.cancel().wished() => None,
        end = &mut running => return end,
        problem = &mut answering => Some(problem),
    };
    interrupt.cancel().wish();
    // Nobody is asked any more: the terminal shows again what is typed, also when the next interrupt leaves at once.
    drop(answering);
    let end = running.await;
    // What stopped it says more than that it was stopped.
    problem.filter(|_| end.is_err()).map_or(end, Err)
}

/// Does what the sign-in asks, until that cannot be done.
async fn answer(
    connection: &Connection,
    screen: Screen,
    mut asks: UnboundedReceiver<(String, LoginAsk)>,
    is_browser_used: bool,
) -> RpcError {
    let mut shown = String::new();
    while let Some((operation_id, ask)) = asks.recv().await {
        let done = match ask {
            // Told again after events were lost.
            LoginAsk::Url { url } if url == shown => Ok(()),
            LoginAsk::Url { url } => {
                let is_opened = is_browser_used && browser::open(&url);
                screen.prompt(&address(&url, is_opened));
                shown = url;
                Ok(())
            }
            LoginAsk::WantsCode => give_code(connection, screen, operation_id).await,
            LoginAsk::WrongCode { reason } => {
                screen.warn(&reason);
                give_code(connection, screen, operation_id).await
            }
            LoginAsk::OtherAccount { before, now } => {
                accept(connection, screen, operation_id, before.as_deref(), now.as_deref()).await
            }
        };
        match done {
            // It was answered elsewhere, or has just ended, which is told as its end.
            Err(problem) if problem.code == ErrorCode::LoginNotAsked => {}
            Err(problem) => return problem,
            Ok(()) => {}
        }
    }
    std::future::pending().await
}

async fn give_code(connection: &Connection, screen: Screen, operation_id: String) -> Result<(), RpcError> {
    let code = hidden::read(screen, QUESTION).await?;
    if code.reveal().is_empty() {
        return Err(RpcError::new(ErrorCode::Cancelled, "there is nobody here to give the code")
            .hint("run 'boxwood login' in a terminal, or give the code on standard input"));
    }
    connection.call::<LoginCode>(&LoginCodeParams { operation_id, code }).await.map(drop)
}

async fn accept(
    connection: &Connection,
    screen: Screen,
    operation_id: String,
    before: Option<&str>,
    now: Option<&str>,
) -> Result<(), RpcError> {
    let question = format!(
        "You signed in as {}; before it was {}. Put the new login in its place? [y/N] ",
        now.unwrap_or("another account"),
        before.unwrap_or("another account"),
    );
    let accept = screen.is_interactive && {
        let answer = read_answer(screen, &question).await?;
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    };
    connection.call::<AcceptLogin>(&LoginAcceptParams { operation_id, accept }).await.map(drop)
}

fn address(url: &str, is_opened: bool) -> String {
    let lead = match is_opened {
        true => "Your browser opens; sign in there. If it does not, open this address:",
        false => "Open this address in a browser and sign in there:",
    };
    format!("{lead}\n\n  {url}\n\nIn the end the browser shows a code. Copy it and paste it here.\n")
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn words(status: &CredentialsStatus, paint: Paint) -> String {
    let account = status.account.as_ref().and_then(|account| account.email.as_ref().or(account.id.as_ref()));
    let whose = account.map(|account| format!(" as {account}")).unwrap_or_default();
    let days = status.days_left.map(|days| format!(" Good for {days} days.")).unwrap_or_default();
    format!("{}{whose}.{days}", paint.paint(Style::Good, "Signed in"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_alone_in_its_line() {
        for is_opened in [true, false] {
            let text = address("https://claude.com/x?state=s", is_opened);
            assert!(text.lines().any(|line| line.trim() == "https://claude.com/x?state=s"), "{text}");
        }
        assert_eq!(sentence("'default' is signed in"), "'default' is signed in");
        assert_eq!(sentence("somebody is"), "Somebody is");
    }
}
