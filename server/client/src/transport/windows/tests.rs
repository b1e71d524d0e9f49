//! Held against real pipes of the system that runs the tests.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn paths_in(directory: &Path) -> Paths {
    Paths::resolve(&|name| (name == "BOXWOOD_RUNTIME_DIR").then(|| directory.display().to_string()), user())
}

fn code(opened: Result<Option<Stream>, RpcError>) -> Option<ErrorCode> {
    opened.err().map(|error| error.code)
}

#[tokio::test]
async fn nothing_listens_is_not_an_error() {
    let base = tempfile::tempdir().expect("temporary directory");
    let paths = paths_in(&base.path().join("run"));
    prepare(&paths).expect("prepared");
    assert!(open(&paths).await.expect("no pipe").is_none());
    drop(Access::new(&paths).and_then(|access| access.first()).expect("pipe"));
    assert!(open(&paths).await.expect("a pipe that is gone").is_none());
}

#[tokio::test]
async fn what_one_end_says_the_other_hears() {
    let base = tempfile::tempdir().expect("temporary directory");
    let paths = paths_in(base.path());
    let mut end = Access::new(&paths).and_then(|access| access.first()).expect("pipe");
    let mut client = open(&paths).await.expect("opened").expect("somebody listens");
    end.connect().await.expect("connected");
    client.write_all(b"hello").await.expect("said");
    let mut heard = [0; 5];
    end.read_exact(&mut heard).await.expect("heard");
    assert_eq!(&heard, b"hello");
    drop(client);
    assert_eq!(end.read(&mut heard).await.map_err(|error| error.kind()).unwrap_or_default(), 0, "the client left");
}

#[tokio::test]
async fn who_comes_while_every_end_is_taken_waits_for_the_next() {
    let base = tempfile::tempdir().expect("temporary directory");
    let paths = paths_in(base.path());
    let access = Access::new(&paths).expect("access");
    let first = access.first().expect("pipe");
    let _served = open(&paths).await.expect("opened").expect("somebody listens");
    first.connect().await.expect("connected");
    let (second, next) = tokio::join!(open(&paths), async {
        let next = access.another().expect("another end");
        next.connect().await.map(|()| next)
    });
    assert!(second.expect("opened").is_some());
    next.expect("connected");
}

#[tokio::test]
async fn a_pipe_of_somebody_else_is_not_spoken_to() {
    let base = tempfile::tempdir().expect("temporary directory");
    let paths = paths_in(base.path());
    // Whoever is in the administrators' group can make pipes in its name, and it is not this user.
    let list = owner::AccessList::parse("O:BAD:(A;;GA;;;WD)").expect("list");
    let _squatter = list.create(ServerOptions::new().first_pipe_instance(true), &name_of(&paths)).expect("pipe");
    assert_eq!(code(open(&paths).await), Some(ErrorCode::SocketUnsafe));
}
