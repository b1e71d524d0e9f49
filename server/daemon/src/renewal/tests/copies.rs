//! Copies of a login, and the files by which a daemon and Claude Code agree on who renews.

use super::*;

#[tokio::test]
async fn what_one_side_of_a_copy_writes_the_other_has() {
    let world = World::new(8 * HOUR, &[]);
    let host = world.root.join(".claude");
    put(&host, &login(1, world.now_ms() + HOUR));
    world.sandbox("a", true, CredentialSource::HostLogin, CredentialMode::Sync);
    let mut events = world.daemon.hub.listen();
    let task = world.run();
    let mut copied = async || loop {
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.expect("in time");
        if event.expect("an event") == (Event::CredentialsChanged { sandbox_id: Some("a".to_owned()) }) {
            return;
        }
    };
    copied().await;
    assert_eq!(read(&world.inside("a"))["refreshToken"], json!("sk-ant-ort01-1"));
    for (number, (from, to)) in
        (2..).zip([(world.inside("a"), host.clone()), (host.clone(), world.inside("a")), (world.inside("a"), host)])
    {
        put(&from, &login(number, world.now_ms() + i64::try_from(number).expect("small") * HOUR));
        copied().await;
        assert_eq!(read(&to)["refreshToken"], json!(format!("sk-ant-ort01-{number}")));
    }
    task.abort();
}

/// A daemon that follows a login on the host and its copy in a sandbox.
struct Followed {
    host: PathBuf,
    inside: PathBuf,
    gate: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

/// Begins with the login of number 1 on both sides.
async fn followed(world: &World) -> Followed {
    let host = world.root.join(".claude");
    put(&host, &login(1, world.now_ms() + HOUR));
    world.sandbox("a", true, CredentialSource::HostLogin, CredentialMode::Sync);
    let inside = world.inside("a");
    let gate = inside.with_file_name(".claude.lock");
    let task = world.run();
    within("the copy", || number(&inside) == 1 && gate.is_dir()).await;
    Followed { host, inside, gate, task }
}

/// Of the login that is kept there.
fn number(storage: &Path) -> usize {
    let token = read(storage)["refreshToken"].as_str().unwrap_or_default().to_owned();
    token.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Waits for something that the daemon does to files.
async fn within(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Tries to renew in a directory as Claude Code does, once. False when the older lock is held, before which it gives the newer
/// one back. It comes to the older one a moment after the newer.
async fn renews(storage: &Path, renew: impl FnOnce()) -> bool {
    let (newer, older) = (storage.join(".oauth_refresh.lock"), storage.with_file_name(".claude.lock"));
    if fs::create_dir(&newer).is_err() {
        return false;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let is_free = fs::create_dir(&older).is_ok();
    if is_free {
        renew();
        fs::remove_dir(&older).expect("given back");
    }
    fs::remove_dir(&newer).expect("given back");
    is_free
}

/// Tries it for as long as Claude Code does.
async fn is_renewed(storage: &Path, renew: impl Fn()) -> bool {
    for _ in 0..5 {
        if renews(storage, &renew).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    false
}

#[tokio::test]
async fn a_copy_is_renewed_only_while_nobody_renews_the_login() {
    let world = World::new(8 * HOUR, &[]);
    let Followed { host, inside, gate, task } = followed(&world).await;

    // Somebody renews the login, and meanwhile somebody inside would like to.
    within("the login's lock", || fs::create_dir(host.join(".oauth_refresh.lock")).is_ok()).await;
    assert!(!renews(&inside, || ()).await, "the gate is closed");
    assert!(gate.is_dir(), "and stays closed while the login is renewed");
    put(&host, &login(2, world.now_ms() + 2 * HOUR));
    fs::remove_dir(host.join(".oauth_refresh.lock")).expect("given back");
    let renew = || {
        assert_eq!(number(&inside), 2, "what was renewed meanwhile is there by then");
        assert!(host.join(".oauth_refresh.lock").is_dir(), "nobody else renews meanwhile");
        put(&inside, &login(3, world.now_ms() + 3 * HOUR));
    };
    assert!(is_renewed(&inside, renew).await, "who knocked comes in");
    within("what was renewed inside", || number(&host) == 3).await;
    within("an end", || gate.is_dir() && !host.join(".oauth_refresh.lock").exists()).await;
    task.abort();
    assert!(task.await.is_err_and(|end| end.is_cancelled()));
    within("the gate to open", || !gate.exists()).await;
}

#[tokio::test]
async fn however_often_somebody_knocks_both_sides_can_renew() {
    let world = World::new(8 * HOUR, &[]);
    let Followed { host, inside, gate, task } = followed(&world).await;
    let knocking = tokio::spawn({
        let (newer, gate) = (inside.join(".oauth_refresh.lock"), gate.clone());
        async move {
            loop {
                // For fun: nobody comes in once it is open.
                if gate.exists() && fs::create_dir(&newer).is_ok() {
                    fs::remove_dir(&newer).expect("given back");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    within("somebody to be waited for", || !gate.exists()).await;
    let renew = || put(&host, &login(2, world.now_ms() + 2 * HOUR));
    assert!(is_renewed(&host, renew).await, "whoever renews the login finds a moment for it");
    within("the renewed login inside", || number(&inside) == 2).await;
    within("somebody to be waited for", || !gate.exists()).await;
    knocking.abort();
    assert!(knocking.await.is_err_and(|end| end.is_cancelled()));
    within("an end of it", || gate.is_dir() && !host.join(".oauth_refresh.lock").exists()).await;
    let renew = || put(&inside, &login(3, world.now_ms() + 3 * HOUR));
    assert!(is_renewed(&inside, renew).await, "whoever means it is let in, although those before did not come");
    within("what was renewed inside", || number(&host) == 3).await;
    task.abort();
}
