//! Volumes that bear the runtime's name and are somebody else's.

use std::sync::Arc;

use boxwood_core::labels;
use boxwood_protocol::ErrorCode;
use boxwood_protocol::operation::OutcomeKind;

use crate::lifecycle::tests::World;
use crate::materials::runtime::{self, Libc};
use crate::operations::Subject;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_volume_of_the_runtimes_name_is_neither_used_nor_removed() {
    let world = World::new().await;
    let (engine, info) = world.daemon.link.engine().await.expect("an engine");
    let volume = runtime::current_volumes(&world.daemon, &info).expect("names").remove(0);
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let borrowed = [label(labels::OWNER, "1000"), label(labels::ROLE, "runtime"), label(labels::CONTENT, "another")];
    for labels in [&[][..], &borrowed] {
        engine.create_volume(&volume, labels).await.expect("made");
        let before = world.engine.snapshot();
        let (daemon, engine_, info) = (Arc::clone(&world.daemon), Arc::clone(&engine), info.clone());
        let started = world.daemon.operations.start("test", Subject::default(), move |handle| async move {
            runtime::get(&daemon, &engine_, &info, &handle, Libc::Glibc).await.map(|runtime| runtime.volume)
        });
        let end = world.daemon.operations.wait(&started.operation_id).await.expect("an end");
        let problem = end.error.expect("it is refused");
        assert_eq!((end.outcome, problem.code), (OutcomeKind::Failed, ErrorCode::NameConflict), "{labels:?}");
        assert!(problem.message.contains(&volume), "{problem}");
        assert!(problem.hint.expect("a hint").contains(&format!("docker volume rm {volume}")));
        let after = world.engine.snapshot();
        assert_eq!((&before.volumes, &before.containers), (&after.volumes, &after.containers), "{labels:?}");
        engine.remove_volume(&volume).await.expect("removed");
    }
}
