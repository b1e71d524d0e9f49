//! Files of containers.

use boxwood_engine::{Engine, Mount};

use super::bench::{Bench, archive, stream};

/// The one file of an archive: its name and content.
fn only_file(bytes: &[u8]) -> (String, String) {
    let mut archive = tar::Archive::new(bytes);
    let mut entry = archive.entries().expect("an archive").next().expect("an entry").expect("a whole entry");
    let name = entry.path().expect("a name").to_string_lossy().into_owned();
    let mut content = String::new();
    std::io::Read::read_to_string(&mut entry, &mut content).expect("text");
    (name, content)
}

pub(crate) async fn files_go_in_and_come_out_of_a_container_that_never_ran(bench: &Bench) {
    let id = bench.engine.create_container(&bench.spec("files")).await.expect("a container is made");
    assert!(!bench.engine.path_exists(&id, "/tmp/a.txt").await.expect("an answer"));
    let tar = archive(&[("a.txt", "in and out")]);
    bench.engine.upload(&id, "/tmp", stream(&tar)).await.expect("the file goes in");
    assert!(bench.engine.path_exists(&id, "/tmp/a.txt").await.expect("an answer"));
    let found = bench.engine.download(&id, "/tmp/a.txt", 1 << 20).await.expect("the file comes out");
    assert_eq!(only_file(&found), ("a.txt".to_owned(), "in and out".to_owned()));
}

pub(crate) async fn files_can_be_put_into_a_volume(bench: &Bench) {
    let volume = bench.name("volume");
    bench.engine.create_volume(&volume, &[bench.label()]).await.expect("a volume is made");
    let mount =
        |read_only| Mount::Volume { name: volume.clone(), target: "/opt/boxwood".to_owned(), read_only, no_copy: true };
    let mut spec = bench.spec("writer");
    spec.mounts = vec![mount(false)];
    let writer = bench.engine.create_container(&spec).await.expect("a container is made");
    let tar = archive(&[("tool", "content")]);
    bench.engine.upload(&writer, "/opt/boxwood", stream(&tar)).await.expect("the file goes in");
    bench.engine.remove_container(&writer).await.expect("the writer goes");

    let mut spec = bench.spec("reader");
    spec.mounts = vec![mount(true)];
    let reader = bench.engine.create_container(&spec).await.expect("a container is made");
    let found = bench.engine.download(&reader, "/opt/boxwood/tool", 1 << 20).await.expect("the file comes out");
    assert_eq!(only_file(&found), ("tool".to_owned(), "content".to_owned()));
}

pub(crate) async fn a_download_is_limited(bench: &Bench) {
    let id = bench.engine.create_container(&bench.spec("limit")).await.expect("a container is made");
    let tar = archive(&[("long", &"x".repeat(100_000))]);
    bench.engine.upload(&id, "/tmp", stream(&tar)).await.expect("the file goes in");
    let found = bench.engine.download(&id, "/tmp/long", 5000).await.expect("a part comes out");
    assert_eq!(found.len(), 5000);
    let missing = bench.engine.download(&id, "/tmp/none", 5000).await.expect_err("there is no such file");
    assert!(missing.is_not_found(), "{missing:?}");
}

pub(crate) async fn a_directory_that_is_not_there_takes_no_files(bench: &Bench) {
    let id = bench.engine.create_container(&bench.spec("nowhere")).await.expect("a container is made");
    for size in [1, 20_000_000] {
        // The engine refuses a long stream before it has read it all.
        let refused = bench.engine.upload(&id, "/no/such/place", stream(&archive(&[("a", &"a".repeat(size))]))).await;
        assert!(refused.as_ref().is_err_and(boxwood_engine::EngineError::is_not_found), "{size}: {refused:?}");
    }
}
