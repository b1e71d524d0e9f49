//! Other daemons on the same engine that work on the same runtime volume: they are waited for.

use std::time::Duration;

use boxwood_core::labels;
use boxwood_engine::{ContainerSummary, Engine, EngineError};
use futures::StreamExt as _;

/// Who has had a container on a volume for this long was killed.
const OLD: Duration = Duration::from_secs(15 * 60);

/// Waits until nobody else fills or checks the volume whose recipe's hash begins with `hash`. True when somebody did, so
/// that it has to be looked at anew. What `installation` itself left behind, or a killed daemon, is removed.
pub(super) async fn wait(
    engine: &dyn Engine,
    installation: &str,
    hash: &str,
    told: impl FnOnce(),
) -> Result<bool, EngineError> {
    let filter = [labels::OWNER.to_owned()];
    // Listen before looking, so that no end is missed.
    let mut events = engine.events(&filter).await?;
    let mut told = Some(told);
    loop {
        let mut others = Vec::new();
        for container in engine.list_containers(&filter).await?.into_iter().filter(|one| is_on_volume(one, hash)) {
            if container.labels.get(labels::INSTALLATION).is_some_and(|one| one == installation) || is_old(&container) {
                engine.remove_container(&container.id).await?;
            } else {
                others.push(container.id);
            }
        }
        if others.is_empty() {
            return Ok(told.is_none());
        }
        if let Some(tell) = told.take() {
            tell();
        }
        let is_end = |id: &str, action: &str| action == "destroy" && others.iter().any(|other| other == id);
        let end = async {
            while let Some(event) = events.next().await {
                let event = event?;
                if is_end(&event.container_id, &event.action) {
                    return Ok(());
                }
            }
            Err(EngineError::Broken("its events ended".to_owned()))
        };
        // One that never ends is old by then.
        if let Ok(ended) = tokio::time::timeout(OLD, end).await {
            ended?;
        }
    }
}

fn is_on_volume(container: &ContainerSummary, hash: &str) -> bool {
    ["fill", "verify"].iter().any(|role| container.name.starts_with(&format!("boxwood-{role}-{hash}")))
}

fn is_old(container: &ContainerSummary) -> bool {
    let age = jiff::Timestamp::now().as_second() - container.created_unix;
    u64::try_from(age).is_ok_and(|age| age >= OLD.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::tests::World;
    use crate::materials::runtime;

    #[tokio::test]
    async fn somebody_else_is_waited_for_and_an_own_leftover_is_not() {
        let world = World::new().await;
        let (engine, _) = world.daemon.link.engine().await.expect("an engine");
        let make = |role: &str, name: &str, installation: &str| {
            let mut spec = runtime::bare(&world.daemon, role, name);
            spec.image = "debian:bookworm-slim".to_owned();
            spec.labels.insert(labels::INSTALLATION.to_owned(), installation.to_owned());
            spec
        };
        let of_another = make("fill", "boxwood-fill-abc", "another");
        let another = engine.create_container(&of_another).await.expect("made");
        engine.create_container(&make("verify", "boxwood-verify-abc-1", "own")).await.expect("made");
        engine.create_container(&make("fill", "boxwood-fill-def", "another")).await.expect("made");
        let told = std::sync::Arc::new(tokio::sync::Notify::new());
        let waiting = tokio::spawn({
            let (engine, told) = (std::sync::Arc::clone(&engine), std::sync::Arc::clone(&told));
            async move { wait(engine.as_ref(), "own", "abc", || told.notify_one()).await }
        });
        told.notified().await;
        engine.remove_container(&another).await.expect("removed");
        assert!(waiting.await.expect("it ends").expect("no error"), "there was somebody");
        let names = engine.list_containers(&[labels::OWNER.to_owned()]).await.expect("a list");
        assert_eq!(names.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["boxwood-fill-def"]);
        assert!(!wait(engine.as_ref(), "own", "abc", || ()).await.expect("no error"), "nobody any more");
    }
}
