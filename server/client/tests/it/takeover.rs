//! Meeting a daemon of another version.

use boxwood_protocol::contract::List;
use boxwood_protocol::params::SandboxFilter;
use boxwood_protocol::{ErrorCode, PROTOCOL_VERSION};

use crate::fake::{FakeDaemon, Identity};
use crate::fifo::Fifo;
use crate::{launcher, paths_in};

/// What a client of version 1.0.0, changed at 5, does about a daemon.
#[derive(Debug, PartialEq)]
enum Met {
    Used,
    Replaced,
    Refused(ErrorCode),
}

async fn meet(identity: Identity) -> Met {
    let base = tempfile::tempdir().expect("temporary directory");
    let paths = paths_in(base.path());
    let listening = base.path().join("listening");
    let mut word = Fifo::new(&listening);
    let old = FakeDaemon::listen(&paths, identity);
    // The new daemon is a script that waits until the test listens in its place.
    let launcher = launcher(base.path(), &format!("read -r _ <{}; echo ready", listening.display()));
    let taking_over = async {
        old.left().await;
        let new = FakeDaemon::listen(&paths, Identity::current());
        word.say().await;
        new
    };
    let connecting = launcher.connect();
    tokio::pin!(connecting, taking_over);
    let mut new = None;
    let connected = loop {
        tokio::select! {
            connected = &mut connecting => break connected,
            fake = &mut taking_over, if new.is_none() => new = Some(fake),
        }
    };
    match connected {
        Ok(connection) => {
            connection.call::<List>(&SandboxFilter::default()).await.expect("it answers");
            if new.is_some() { Met::Replaced } else { Met::Used }
        }
        Err(error) => Met::Refused(error.code),
    }
}

#[tokio::test]
async fn an_older_daemon_is_replaced() {
    assert_eq!(meet(Identity::of("0.9.0")).await, Met::Replaced);
    let other_protocol = Identity { protocol: PROTOCOL_VERSION + 1, ..Identity::of("0.9.0") };
    assert_eq!(meet(other_protocol).await, Met::Replaced);
}

#[tokio::test]
async fn an_older_build_of_the_same_version_is_replaced() {
    assert_eq!(meet(Identity { build: "1.0.0+4".to_owned(), ..Identity::of("1.0.0") }).await, Met::Replaced);
    assert_eq!(meet(Identity::current()).await, Met::Used);
    assert_eq!(meet(Identity { build: "1.0.0+6".to_owned(), ..Identity::of("1.0.0") }).await, Met::Used);
}

#[tokio::test]
async fn a_newer_daemon_is_used_if_it_can_be() {
    assert_eq!(meet(Identity::of("1.1.0")).await, Met::Used);
    let other_protocol = Identity { protocol: PROTOCOL_VERSION + 1, ..Identity::of("1.1.0") };
    assert_eq!(meet(other_protocol).await, Met::Refused(ErrorCode::DaemonVersion));
}

#[tokio::test]
async fn an_older_daemon_with_work_to_do_is_used_if_it_can_be() {
    let busy = Identity { is_busy: true, ..Identity::of("0.9.0") };
    assert_eq!(meet(busy.clone()).await, Met::Used);
    let other_protocol = Identity { protocol: PROTOCOL_VERSION + 1, ..busy };
    assert_eq!(meet(other_protocol).await, Met::Refused(ErrorCode::DaemonBusy));
}
