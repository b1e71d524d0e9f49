//! What the engine tells of containers.

use boxwood_engine::{Engine, EngineEvent};
use futures::StreamExt;

use super::bench::Bench;

pub(crate) async fn a_life_is_told_in_order(bench: &Bench) {
    let mut events = bench.engine.events(&bench.filter()).await.expect("events");
    let id = bench.running("told").await;
    bench.listens(&id).await;
    bench.engine.stop_container(&id, 60).await.expect("it stops");
    bench.engine.rename_container(&id, &bench.name("renamed")).await.expect("it is renamed");
    bench.engine.remove_container(&id).await.expect("it goes");
    let mut told: Vec<EngineEvent> = Vec::new();
    while told.last().is_none_or(|event| event.action != "destroy") {
        let event = events.next().await.expect("the stream goes on").expect("no error");
        // Those of commands are another matter.
        if !event.action.starts_with("exec_") {
            told.push(event);
        }
    }
    let actions: Vec<&str> = told.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["create", "start", "kill", "die", "stop", "rename", "destroy"]);
    for event in &told {
        assert_eq!(event.container_id, id);
        assert_eq!(event.attributes.get(&bench.label().0), Some(&bench.label().1));
    }
    assert_eq!(told[0].attributes.get("name"), Some(&bench.name("told")));
    assert_eq!(told[3].attributes.get("exitCode").map(String::as_str), Some("143"));
}

pub(crate) async fn only_the_labelled_are_told_of(bench: &Bench) {
    let wanted = vec![format!("dev.boxwood.test.wanted={}", bench.id)];
    let mut events = bench.engine.events(&wanted).await.expect("events");
    bench.engine.create_container(&bench.spec("unwanted")).await.expect("a container is made");
    let mut spec = bench.spec("wanted");
    spec.labels.insert("dev.boxwood.test.wanted".to_owned(), bench.id.clone());
    let id = bench.engine.create_container(&spec).await.expect("a container is made");
    let event = events.next().await.expect("the stream goes on").expect("no error");
    assert_eq!((event.action.as_str(), event.container_id), ("create", id));
}
