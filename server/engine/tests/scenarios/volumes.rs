//! Volumes made and removed.

use boxwood_engine::{BuildSpec, ContainerSpec, Engine, EngineError, Mount};
use bytes::Bytes;
use futures::StreamExt;

use super::bench::{Bench, archive};

fn mount(name: &str, no_copy: bool) -> Mount {
    Mount::Volume { name: name.to_owned(), target: "/data".to_owned(), read_only: false, no_copy }
}

pub(crate) async fn a_volume_lives_and_dies(bench: &Bench) {
    let (engine, name) = (&bench.engine, bench.name("volume"));
    engine.create_volume(&name, &[bench.label()]).await.expect("a volume is made");
    engine.create_volume(&name, &[]).await.expect("making it again is fine");
    let listed = engine.list_volumes(&bench.filter()).await.expect("a list").remove(0);
    assert_eq!((listed.name, listed.labels.get(&bench.label().0)), (name.clone(), Some(&bench.label().1)));
    engine.remove_volume(&name).await.expect("it goes");
    engine.remove_volume(&name).await.expect("removing it again is fine");
    assert_eq!(engine.list_volumes(&bench.filter()).await.expect("a list"), []);
}

pub(crate) async fn a_volume_in_use_stays(bench: &Bench) {
    let name = bench.name("used");
    bench.engine.create_volume(&name, &[bench.label()]).await.expect("a volume is made");
    let spec = ContainerSpec { mounts: vec![mount(&name, true)], ..bench.spec("uses") };
    let id = bench.engine.create_container(&spec).await.expect("a container is made");
    let refused = bench.engine.remove_volume(&name).await;
    assert!(matches!(refused, Err(EngineError::Conflict(_))), "{refused:?}");
    assert_eq!(bench.engine.users_of_volume(&name).await.expect("a list"), [spec.name]);
    let part = &name[..name.len() - 1];
    assert_eq!(bench.engine.users_of_volume(part).await.expect("a list"), Vec::<String>::new());
    bench.engine.remove_container(&id).await.expect("the container goes");
    assert_eq!(bench.engine.list_volumes(&bench.filter()).await.expect("a list").len(), 1);
}

pub(crate) async fn an_empty_volume_takes_the_images_files_unless_told_not_to(bench: &Bench) {
    let image = format!("{}:1", bench.name("filled"));
    let recipe = BuildSpec {
        tag: image.clone(),
        dockerfile: "Dockerfile".to_owned(),
        labels: bench.labels(),
        context: Bytes::from(archive(&[("Dockerfile", "FROM scratch\nCOPY file /data/file\n"), ("file", "content")])),
        ..BuildSpec::default()
    };
    let mut build = bench.engine.build_image(&recipe).await.expect("a build");
    while let Some(line) = build.next().await {
        line.expect("the image is built");
    }
    for (no_copy, is_filled) in [(false, true), (true, false)] {
        let volume = bench.name(if no_copy { "empty" } else { "full" });
        bench.engine.create_volume(&volume, &[bench.label()]).await.expect("a volume is made");
        let spec = ContainerSpec { image: image.clone(), mounts: vec![mount(&volume, no_copy)], ..bench.spec("fills") };
        let id = bench.engine.create_container(&spec).await.expect("a container is made");
        assert_eq!(bench.engine.path_exists(&id, "/data/file").await.expect("an answer"), is_filled, "{no_copy}");
        bench.engine.remove_container(&id).await.expect("the container goes");
    }
}
