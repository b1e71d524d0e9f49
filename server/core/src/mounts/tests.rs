use proptest::prelude::*;

use super::*;

const PEOPLE: &str = "/home/ada";

fn asked(text: &str) -> Asked {
    Asked::read(text).unwrap_or_else(|why| panic!("{why}"))
}

/// A judgement of `text` where nothing is a link.
fn judged(text: &str) -> Result<Mount, Refusal> {
    let asked = asked(text);
    let real = asked.path(PEOPLE);
    let boxwood = ["/home/ada/.local/state/boxwood", "/home/ada/.config/boxwood"].map(str::to_owned);
    let claude = ["/home/ada/.claude", "/home/ada/.claude.json"].map(str::to_owned);
    let ground = Ground {
        home: PEOPLE,
        project: "/home/ada/work/shop",
        workspace: "/home/ada/work/shop",
        projects: &["/home/ada/work/shop".to_owned(), "/home/ada/work/other".to_owned()],
        boxwood: &boxwood,
        claude: &claude,
        engine: Some("/home/ada/.docker/run/docker.sock"),
    };
    asked.judge(&real, &[], &ground)
}

#[test]
fn what_is_written_is_read_as_docker_reads_it() {
    let check = |text: &str, path: &str, target: &str| {
        let asked = asked(text);
        assert_eq!((asked.path(PEOPLE).as_str(), asked.target(PEOPLE).as_deref()), (path, Some(target)), "{text}");
    };
    check("~/.ssh", "/home/ada/.ssh", "/home/boxwood/.ssh");
    check("~/.ssh:ro", "/home/ada/.ssh", "/home/boxwood/.ssh");
    check("/home/ada/.gitconfig", "/home/ada/.gitconfig", "/home/boxwood/.gitconfig");
    check("/home/adam/x", "/home/adam/x", "/home/adam/x");
    check("/data//models/", "/data//models/", "/data/models");
    check("/data/models:/models", "/data/models", "/models");
    check("~/a b:/x/y:/z//w/:readonly", "/home/ada/a b:/x/y", "/z/w");
    assert_eq!(asked(r"C:\Users\ada\.ssh:/home/boxwood/.ssh").path("C:\\Users\\ada"), r"C:\Users\ada\.ssh");
    assert_eq!(asked("C:/keys:/keys").target("C:/Users/ada").as_deref(), Some("/keys"));
    assert_eq!(asked(r"C:\keys").target("C:/Users/ada"), None, "nothing inside follows from a drive");
}

#[test]
fn what_is_no_absolute_path_is_refused_where_it_is_written() {
    for wrong in [
        "",
        "keys",
        "./keys",
        "../keys",
        "~ada/keys",
        "$HOME/keys",
        "/a/../b",
        "/a/./b",
        "/a\n/b",
        "/a\u{0}b",
        "/a:rw",
        "/a:/b:rw",
        "/a:b",
        "/a:/",
        "/a:/b/../c",
        "/a:/./b",
        ":/b",
    ] {
        assert!(Asked::read(wrong).is_err(), "{wrong:?}");
        assert!(check(&[wrong.to_owned()]).is_err(), "{wrong:?}");
    }
    assert!(Asked::read(&"/x".repeat(3000)).is_err());
    assert!(check(&vec!["/x".to_owned(); 51]).is_err());
}

#[test]
fn some_things_are_refused_whoever_asks() {
    let check = |text: &str, why: Refusal| assert_eq!(judged(text), Err(why), "{text}");
    for system in ["/proc", "/proc/1", "/sys/kernel", "/dev", "/dev/shm", "/"] {
        check(system, Refusal::System);
    }
    for service in ["/run", "/run/user/1000", "/var/run/docker.sock", "/var"] {
        check(service, Refusal::Services);
    }
    check("/home/ada/.docker/run/docker.sock", Refusal::Engine);
    check("~/.docker", Refusal::Engine);
    for boxwood in ["~", "/home", "~/.local", "~/.local/state/boxwood/logins", "~/.config"] {
        check(boxwood, Refusal::Boxwood);
    }
    for claude in ["~/.claude", "~/.claude/skills", "~/.claude.json"] {
        check(claude, Refusal::Claude);
    }
    check("~/work/shop", Refusal::Project);
    check("~/work/shop/docs:/docs", Refusal::Project);
    check("~/work", Refusal::HoldsProject);
    check("~/work/other/docs", Refusal::OtherProject("/home/ada/work/other".to_owned()));
    for target in [
        "/home",
        "/home/boxwood",
        "/home/boxwood/.claude",
        "/home/boxwood/.claude/skills",
        "/home/ada/work/shop/x",
        "/home/ada",
        "/opt/boxwood/bin",
        "/opt",
        "/etc",
        "/etc/passwd",
        "/var/lib/boxwood",
        "/var",
        "/usr",
        "/tmp",
        "/proc/x",
        "/run/boxwood",
    ] {
        check(&format!("/data:{target}"), Refusal::Target(target.to_owned()));
    }
    for refusal in
        [Refusal::System, Refusal::Claude, Refusal::Target(String::new()), Refusal::OtherProject(String::new())]
    {
        assert!(refusal.next_step().len() > 20);
    }
}

#[test]
fn keys_settings_and_other_projects_can_be_read() {
    for (text, source, target) in [
        ("~/.ssh", "/home/ada/.ssh", "/home/boxwood/.ssh"),
        ("~/.gitconfig", "/home/ada/.gitconfig", "/home/boxwood/.gitconfig"),
        ("~/.config/gh", "/home/ada/.config/gh", "/home/boxwood/.config/gh"),
        ("~/work/other", "/home/ada/work/other", "/home/boxwood/work/other"),
        ("/usr/share/dict", "/usr/share/dict", "/usr/share/dict"),
        ("/data:/models", "/data", "/models"),
    ] {
        let mount = Mount { target: target.to_owned(), source: source.to_owned() };
        assert_eq!(judged(text), Ok(mount), "{text}");
    }
}

#[test]
fn a_link_that_a_sandbox_writes_leads_nowhere() {
    let ground = Ground {
        home: PEOPLE,
        project: "/home/ada/work/shop",
        workspace: "/workspaces/shop",
        projects: &["/home/ada/work/other".to_owned()],
        boxwood: &[],
        claude: &[],
        engine: None,
    };
    let over = |link: &str| asked("~/keys").judge("/home/ada/.ssh", &[link.to_owned()], &ground);
    assert_eq!(over("/home/ada/work/shop/link"), Err(Refusal::Project));
    assert!(matches!(over("/home/ada/work/other/deep/link"), Err(Refusal::OtherProject(_))));
    let mount = over("/home/ada/keys").expect("a link of the person's own");
    assert_eq!((mount.source.as_str(), mount.target.as_str()), ("/home/ada/.ssh", "/home/boxwood/keys"));
}

#[test]
fn who_approves_sees_what_it_leads_to_and_what_is_at_stake() {
    let words = |text: &str, real: Option<&str>| asked(text).words(PEOPLE, real);
    assert_eq!(
        words("~/.ssh", Some("/home/ada/.ssh")),
        "reads \"/home/ada/.ssh\" of this machine, at \"/home/boxwood/.ssh\" inside: private keys there become readable \
         inside, and what is read can be sent out"
    );
    let led = words("/srv/docs", Some("/home/ada/.ssh"));
    assert!(led.starts_with("reads \"/home/ada/.ssh\" of this machine, to which \"/srv/docs\" leads"), "{led}");
    assert!(led.contains("private keys"), "{led}");
    assert!(words("~/.aws", Some("/home/ada/.aws")).contains("logins and tokens"));
    assert!(words("/data/tls/server.key", Some("/data/tls/server.key")).contains("private keys"));
    assert!(words("/data", Some("/data")).contains("what is read can be sent"));
    assert!(words("/data", None).contains("there is nothing now"));
    let hidden = words("/data/\u{202e}hss.", Some("/data/\u{202e}hss."));
    assert!(!hidden.contains('\u{202e}'), "{hidden}");
}

#[test]
fn no_two_are_at_one_place() {
    let mount = |source: &str, target: &str| Mount { target: target.to_owned(), source: source.to_owned() };
    let twice = lay(vec![mount("/b", "/x"), mount("/a", "/x"), mount("/a", "/x")]);
    assert_eq!(twice, Err(("/b".to_owned(), Refusal::Twice("/x".to_owned(), "/a".to_owned()))));
    assert!(lay(vec![mount("/b", "/x/y"), mount("/a", "/x")]).is_err(), "one in the other");
    let laid = lay(vec![mount("/b", "/xy"), mount("/a", "/x"), mount("/a", "/x")]).expect("apart");
    assert_eq!(laid, [mount("/a", "/x"), mount("/b", "/xy")]);
}

fn path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "home",
        "ada",
        "boxwood",
        ".ssh",
        ".claude",
        ".config",
        ".local",
        "state",
        "work",
        "shop",
        "other",
        "proc",
        "run",
        "etc",
        "opt",
        "usr",
        "x:y",
        "docker.sock",
        ".docker",
    ]);
    prop::collection::vec(part, 0..5).prop_map(|parts| format!("/{}", parts.join("/")))
}

proptest! {
    /// Whatever is asked for: what is mounted is none of what nobody gets, and covers nothing of the sandbox's own.
    #[test]
    fn what_is_mounted_is_never_what_nobody_gets(source in path(), target in prop::option::of(path())) {
        let text = target.map_or_else(|| source.clone(), |target| format!("{source}:{target}"));
        let Ok(asked) = Asked::read(&text) else { return Ok(()) };
        let Ok(mount) = judged(&text) else { return Ok(()) };
        prop_assert_eq!(&mount.source, &asked.path(PEOPLE));
        let forbidden = [
            "/proc", "/run", "/home/ada/.claude", "/home/ada/.local/state/boxwood", "/home/ada/.config/boxwood",
            "/home/ada/.docker/run/docker.sock", "/home/ada/work/shop",
        ];
        for path in forbidden {
            let both = [format!("{path}/"), format!("{}/", mount.source.trim_end_matches('/'))];
            prop_assert!(!both[0].starts_with(&both[1]) && !both[1].starts_with(&both[0]), "{} and {path}", mount.source);
        }
        let own = ["/home/boxwood/.claude", "/home/ada/work/shop", "/opt/boxwood", "/etc/passwd", "/run", "/proc"];
        for path in own {
            let both = [format!("{path}/"), format!("{}/", mount.target)];
            prop_assert!(!both[0].starts_with(&both[1]) && !both[1].starts_with(&both[0]), "{} at {path}", mount.target);
        }
    }

    /// Any text is read or refused, and what is read is absolute on both sides.
    #[test]
    fn any_text_is_read_or_refused(text in "[~/.:\\\\a-cC ro\u{202e}\n]{0,24}") {
        if let Ok(asked) = Asked::read(&text) {
            let path = asked.path(PEOPLE);
            prop_assert!(path.starts_with('/') || has_drive(&path), "{path:?}");
            prop_assert!(asked.target(PEOPLE).is_none_or(|target| target.starts_with('/') && !target.contains("/../")));
        }
    }
}
