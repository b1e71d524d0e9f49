use super::*;

struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, file).expect("written");
        }
        Self(directory)
    }

    fn root(&self) -> std::path::PathBuf {
        self.0.path().canonicalize().expect("there")
    }

    fn expand(&self, configured: &[&str]) -> Expansion {
        let configured: Vec<String> = configured.iter().map(|text| (*text).to_owned()).collect();
        expand(&self.root().to_string_lossy(), &configured).expect("expanded")
    }

    fn masked(&self, configured: &[&str]) -> Vec<String> {
        let expansion = self.expand(configured);
        assert_eq!(expansion.warnings, Vec::<String>::new());
        expansion.masked.into_iter().map(|mask| mask.path).collect()
    }
}

#[test]
fn what_is_there_is_found_and_directories_are_masked_as_a_whole() {
    let project = Project::new(&[".env", ".env.example", "a/.ssh/id_rsa", "node_modules/x/.netrc", "a/k.pem", "s/1/x"]);
    assert_eq!(project.masked(&[]), [".env", "a/.ssh", "node_modules/x/.netrc"]);
    assert_eq!(project.masked(&["!.env", "**/*.pem", "s/**"]), ["a/.ssh", "a/k.pem", "node_modules/x/.netrc", "s"]);
    let all = project.expand(&[]).masked;
    assert_eq!(all.iter().find(|mask| mask.path == "a/.ssh").map(|mask| mask.kind), Some(Kind::Directory));
}

#[test]
fn what_the_settings_name_is_made_and_env_only_where_git_ignores_it() {
    let project = Project::new(&["a"]);
    assert_eq!(project.masked(&[]), Vec::<String>::new(), "nothing that would show in git's status");
    let made = project.expand(&[".env", "keys/", "deep/er/key", "a/below-a-file", "*.key"]).masked;
    let of = |path: &str| made.iter().find(|mask| mask.path == path).map(|mask| (mask.kind, mask.make));
    assert_eq!(of(".env"), Some((Kind::File, true)));
    assert_eq!(of("keys"), Some((Kind::Directory, true)));
    assert_eq!(of("deep/er/key"), Some((Kind::File, true)));
    assert_eq!(made.len(), 3);

    let project = Project::new(&[".git/HEAD", ".gitignore"]);
    assert_eq!(project.masked(&[]), Vec::<String>::new());
    fs::write(project.root().join(".gitignore"), "node_modules\n.env*\n").expect("written");
    assert_eq!(project.masked(&[]), [".env"]);
    assert_eq!(project.masked(&["!.env"]), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_out_and_what_they_lead_to_inside_is_masked() {
    use std::os::unix::fs::symlink;
    let project = Project::new(&["config/dev", "src/x", "a/.ssh/key"]);
    let outside = Project::new(&["id_rsa"]);
    symlink("config/dev", project.root().join(".env")).expect("a link");
    symlink(outside.root().join("id_rsa"), project.root().join("id_rsa")).expect("a link");
    symlink(outside.root(), project.root().join("elsewhere")).expect("a link");
    assert_eq!(project.masked(&["elsewhere/id_rsa"]), ["a/.ssh", "config/dev"]);
    symlink("nowhere", project.root().join(".env.local")).expect("a link");
    symlink(".", project.root().join(".aws")).expect("a link");
    let expansion = project.expand(&[]);
    assert_eq!(
        expansion.warnings,
        ["not masked, because they are links to what cannot be masked: .aws, .env.local".to_owned()]
    );
}

#[cfg(unix)]
#[test]
fn other_names_of_a_masked_file_are_masked_and_unknown_ones_are_told() {
    let project = Project::new(&[".env", "a/.ssh/key", "src/x"]);
    fs::hard_link(project.root().join(".env"), project.root().join("src/copy")).expect("a link");
    fs::hard_link(project.root().join("a/.ssh/key"), project.root().join("src/key")).expect("a link");
    assert_eq!(project.masked(&[]), [".env", "a/.ssh", "src/copy", "src/key"]);
    let outside = tempfile::tempdir_in(project.root().parent().expect("a parent")).expect("a directory");
    fs::hard_link(project.root().join(".env"), outside.path().join("copy")).expect("a link");
    assert_eq!(
        project.expand(&[]).warnings,
        ["masked, but with further names (hard links) that were not found: .env".to_owned()]
    );
}

#[test]
fn more_than_an_engine_can_mount_is_refused() {
    let names: Vec<String> = (0..=MAX_MASKED).map(|number| format!("{number}.pem")).collect();
    let project = Project::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = expand(&project.root().to_string_lossy(), &["*.pem".to_owned()]).expect_err("too many");
    assert_eq!(refused.code, ErrorCode::ConfigInvalid);
}

#[test]
fn a_walk_that_ends_early_says_where() {
    let project = Project::new(&["a/1", "a/2", "node_modules/m/1", "z/1"]);
    let root = project.root();
    let mut walk = Walk::new(&root);
    walk.left = 5;
    let mut seen = Vec::new();
    walk.run(|path, entry| {
        seen.push(path.to_owned());
        if entry.path().is_dir() { Go::Below } else { Go::Past }
    });
    assert_eq!(seen.len(), 5);
    assert!(walk.unseen.contains(&"node_modules".to_owned()), "the bulky one is the last: {:?}", walk.unseen);
    assert_eq!(few(&vec!["a".to_owned(); 7]), "a, a, a, a, a and 2 more");
}
