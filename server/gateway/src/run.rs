//! The program: its place in the network first, then every right is given up, then it serves.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::io::BufReader;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::args::{self, Command};
use crate::outside::Real;
use crate::state::{Place, State, now_ms};
use crate::zone::Names;
use crate::{control, dns, listen, memory, netlink, privileges};

/// What went wrong before it served.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("failed to take the subnet's addresses: {0}; the container needs NET_ADMIN until it has them")]
    Routes(#[source] io::Error),
    #[error("failed to give up the rights it was started with: {0}")]
    Rights(#[source] io::Error),
    #[error("failed to see whether packets are passed on: {0}")]
    Forwarding(#[source] io::Error),
    #[error("packets are passed on between the networks; start the container with net.ipv4.ip_forward=0")]
    Forwards,
    #[error("failed to start: {0}")]
    Runtime(#[source] io::Error),
    #[error("failed to listen for questions for names: {0}")]
    Names(#[source] io::Error),
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let place = match args::read(std::env::args().skip(1)) {
        Ok(Command::Run(place)) => place,
        Ok(Command::Help) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Version) => {
            println!("boxwood-gateway {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("boxwood-gateway: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match start(place) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("boxwood-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(place: Place) -> Result<(), StartError> {
    netlink::add_local_routes(&place.subnet.own_blocks()).map_err(StartError::Routes)?;
    privileges::drop_all().map_err(StartError::Rights)?;
    if netlink::is_forwarding().map_err(StartError::Forwarding)? {
        return Err(StartError::Forwards);
    }
    // One thread: less memory than several, and nothing here computes for long.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)?;
    let result = runtime.block_on(serve(State::new(place, Arc::new(Real::default()))));
    // Whoever reads standard input would be waited for.
    runtime.shutdown_background();
    result
}

async fn serve(state: Arc<State>) -> Result<(), StartError> {
    let at = state.outside.listen_at(53);
    let udp = UdpSocket::bind(at).await.map_err(StartError::Names)?;
    let tcp = TcpListener::bind(at).await.map_err(StartError::Names)?;
    state.tell_ready();
    let mut tasks = JoinSet::new();
    tasks.spawn(dns::serve(udp, tcp, Names(Arc::clone(&state)), state.place.subnet));
    tasks.spawn(follow(Arc::clone(&state)));
    let told = Arc::clone(&state);
    tasks.spawn(async move { control::listen(&told, BufReader::new(tokio::io::stdin())).await });
    let told = Arc::clone(&state);
    tasks.spawn(async move {
        // When nobody can read it, it is not told; decisions are taken all the same.
        if control::tell(&told, tokio::io::stdout()).await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    // None of them ends; and as the first process of a container it would not be ended by a signal it has not asked for.
    let mut ended = signal(SignalKind::terminate()).map_err(StartError::Runtime)?;
    tokio::select! {
        _ = tasks.join_next() => {}
        _ = ended.recv() => {}
    }
    Ok(())
}

/// Everything but the conversation: listeners, counts that are told later, the end of what is let through for a while,
/// memory.
pub async fn follow(state: Arc<State>) {
    tokio::join!(
        listen::run(Arc::clone(&state)),
        state.log.tell_counts(&state.outbox),
        end_bypass(&state),
        memory::give_back(&state.flows)
    );
}

/// Judges everything again at the moment when what was let through for a while no longer is.
async fn end_bypass(state: &State) {
    let mut changes = state.changes();
    loop {
        let until = changes.borrow_and_update().as_ref().map_or(0, |in_force| in_force.policy.policy().bypass_until_ms);
        let rest = until.saturating_sub(now_ms());
        let changed = if rest == 0 {
            changes.changed().await
        } else {
            // One more, so that the moment has passed.
            let over = tokio::time::sleep(std::time::Duration::from_millis(rest + 1));
            tokio::select! {
                () = over => {
                    state.judge_again();
                    Ok(())
                }
                changed = changes.changed() => changed,
            }
        };
        if changed.is_err() {
            return;
        }
    }
}
