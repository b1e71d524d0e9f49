//! Images made, fetched and removed.

use boxwood_engine::{BuildSpec, ContainerSpec, Engine, EngineError, EngineStream};
use bytes::Bytes;
use futures::StreamExt;

use super::bench::{Bench, archive, stream};

/// Lines said, and how it ended.
async fn lines(mut stream: EngineStream<String>) -> (Vec<String>, Option<EngineError>) {
    let mut said = Vec::new();
    while let Some(line) = stream.next().await {
        match line {
            Ok(line) => said.push(line),
            Err(error) => return (said, Some(error)),
        }
    }
    (said, None)
}

fn recipe(bench: &Bench, dockerfile: &str) -> BuildSpec {
    BuildSpec {
        tag: format!("{}:1", bench.name("image")),
        dockerfile: "sub/Dockerfile".to_owned(),
        labels: bench.labels(),
        context: Bytes::from(archive(&[("sub/Dockerfile", dockerfile), ("file", "content")])),
        ..BuildSpec::default()
    }
}

pub(crate) async fn an_image_is_built_and_removed(bench: &Bench) {
    let recipe = recipe(bench, "FROM debian:bookworm-slim\nARG A=1\nLABEL own=yes\nENV B=2\nRUN true\n");
    let (said, error) = lines(bench.engine.build_image(&recipe).await.expect("a build")).await;
    assert!(error.is_none(), "{error:?} after {said:#?}");
    assert!(
        said.iter().any(|line| line.starts_with("Step 1/") && line.ends_with(" : FROM debian:bookworm-slim")),
        "{said:#?}"
    );
    let image = bench.engine.inspect_image(&recipe.tag).await.expect("an answer").expect("it is there");
    assert_eq!(image.tags, [recipe.tag.as_str()]);
    assert_eq!(image.labels.get("own").map(String::as_str), Some("yes"));
    assert_eq!(image.labels.get(&bench.label().0), Some(&bench.label().1));
    assert!(image.env.contains(&"B=2".to_owned()), "{:?}", image.env);
    assert!(image.size_bytes > 0 && matches!(image.arch.as_str(), "amd64" | "arm64"), "{image:?}");
    let listed = bench.engine.list_images(&bench.filter()).await.expect("a list");
    assert_eq!(listed.iter().map(|image| &image.id).collect::<Vec<_>>(), [&image.id]);

    bench.engine.remove_image(&recipe.tag).await.expect("it goes");
    bench.engine.remove_image(&recipe.tag).await.expect("removing it again is fine");
    assert_eq!(bench.engine.inspect_image(&recipe.tag).await.expect("an answer"), None);
}

pub(crate) async fn a_failed_build_says_why(bench: &Bench) {
    for (dockerfile, expected) in
        [("FROM debian:bookworm-slim\nRUN exit 3\n", "returned a non-zero code: 3"), ("", "the Dockerfile")]
    {
        let recipe = recipe(bench, dockerfile);
        let (_, error) = lines(bench.engine.build_image(&recipe).await.expect("a build")).await;
        assert!(
            matches!(&error, Some(EngineError::Image(message)) if message.contains(expected)),
            "{dockerfile:?}: {error:?}"
        );
        assert_eq!(bench.engine.inspect_image(&recipe.tag).await.expect("an answer"), None);
    }
    let lost = BuildSpec { dockerfile: "elsewhere".to_owned(), ..recipe(bench, "FROM scratch") };
    let (_, error) = lines(bench.engine.build_image(&lost).await.expect("a build")).await;
    assert!(matches!(&error, Some(EngineError::Image(message)) if message.contains("elsewhere")), "{error:?}");
}

pub(crate) async fn an_image_that_is_nowhere_cannot_be_had(bench: &Bench) {
    // A registry on a port of this machine where nothing listens, so that no network is needed to be refused.
    let reference = format!("127.0.0.1:9/{}:1", bench.name("nowhere"));
    assert_eq!(bench.engine.inspect_image(&reference).await.expect("an answer"), None);
    let refused = match bench.engine.pull_image(&reference).await {
        Err(error) => error,
        Ok(stream) => lines(stream).await.1.expect("it ends with an error"),
    };
    assert!(matches!(refused, EngineError::Image(_)), "{refused:?}");
}

pub(crate) async fn a_root_file_system_becomes_an_image(bench: &Bench) {
    let reference = format!("{}:1", bench.name("imported"));
    let tar = archive(&[("etc/imported", "yes")]);
    let said = ("dev.boxwood.said".to_owned(), "a-$b-\\".to_owned());
    bench.engine.import_image(&reference, &[bench.label(), said.clone()], stream(&tar)).await.expect("it is imported");
    let image = bench.engine.inspect_image(&reference).await.expect("an answer").expect("it is there");
    assert_eq!(image.tags, [reference.as_str()]);
    assert_eq!(image.labels.get(&bench.label().0), Some(&bench.label().1));
    assert_eq!(image.labels.get(&said.0), Some(&said.1));
    let spec = ContainerSpec { image: reference.clone(), ..bench.spec("imported") };
    let id = bench.engine.create_container(&spec).await.expect("a container is made");
    assert!(bench.engine.path_exists(&id, "/etc/imported").await.expect("an answer"));
    bench.engine.remove_container(&id).await.expect("it goes");
    bench.engine.remove_image(&reference).await.expect("the image goes");

    let refused = bench.engine.import_image(&reference, &[], stream(&[0xff; 2000])).await;
    let is_left = bench.engine.inspect_image(&reference).await.expect("an answer").is_some();
    bench.engine.remove_image(&reference).await.expect("nothing is left behind");
    assert!(matches!(refused, Err(EngineError::Image(_))) && !is_left, "{refused:?}");
}

pub(crate) async fn an_image_in_use_stays(bench: &Bench) {
    let recipe = recipe(bench, "FROM debian:bookworm-slim\n");
    let (said, error) = lines(bench.engine.build_image(&recipe).await.expect("a build")).await;
    assert!(error.is_none(), "{error:?} after {said:#?}");
    let spec = ContainerSpec { image: recipe.tag.clone(), ..bench.spec("uses") };
    let id = bench.engine.create_container(&spec).await.expect("a container is made");
    let refused = bench.engine.remove_image(&recipe.tag).await;
    assert!(matches!(refused, Err(EngineError::Conflict(_))), "{refused:?}");
    let image = bench.engine.inspect_image(&recipe.tag).await.expect("an answer").expect("it is there");
    assert_eq!(bench.engine.users_of_image(&image.id).await.expect("a list"), [spec.name]);
    let base = bench.engine.inspect_image("debian:bookworm-slim").await.expect("an answer").expect("it is there");
    let of_base = bench.engine.users_of_image(&base.id).await.expect("a list");
    assert!(!of_base.contains(&bench.name("uses")), "{of_base:?}");
    bench.engine.remove_container(&id).await.expect("the container goes");
    bench.engine.remove_image(&recipe.tag).await.expect("now the image goes");
}
