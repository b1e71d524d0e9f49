//! What the templates on offer are, and what holds for every choice of options and every project.

use std::collections::{BTreeMap, HashSet};

use jsonc_parser::ParseOptions;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const VERSION: &str = "9.8.7";
const SANDBOX: &str = "claude-sandbox";

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn contents<'a>(rendered: &'a [RenderedFile], path: &str) -> &'a str {
    &rendered.iter().find(|file| file.path == path).expect("the file is part of the template").contents
}

fn devcontainer(rendered: &[RenderedFile]) -> Value {
    let path = main_file(rendered).expect("a template has a devcontainer.json");
    jsonc_parser::parse_to_serde_value(contents(rendered, path), &ParseOptions::default())
        .expect("it is JSON with comments")
}

#[test]
fn templates_on_offer() {
    insta::assert_json_snapshot!(list());
}

#[test]
fn ids_agree_with_the_folders_and_every_default_renders() {
    let ids: HashSet<_> = TEMPLATES.iter().map(|template| template.id).collect();
    assert_eq!(ids.len(), TEMPLATES.len());
    for (template, info) in TEMPLATES.iter().zip(list()) {
        assert_eq!(template.id, info.id);
        let defaults = info.options.iter().map(|option| (option.id.clone(), option.default.clone())).collect();
        let rendered = render(template.id, &defaults, VERSION).expect("a default is a value its option takes");
        for file in &rendered {
            assert!(!file.contents.contains("${templateOption:"), "{}", file.path);
            assert!(!file.path.starts_with('/') && !file.path.split('/').any(|part| part == ".."), "{}", file.path);
        }
        devcontainer(&rendered);
    }
}

#[test]
fn the_sandbox_with_its_defaults() {
    let rendered = render(SANDBOX, &BTreeMap::new(), VERSION).expect("defaults render");
    let files: Vec<_> = rendered.iter().map(|file| (&file.path, file.executable)).collect();
    insta::assert_debug_snapshot!("sandbox_files", files);
    insta::assert_snapshot!("sandbox_devcontainer_json", contents(&rendered, ".devcontainer/devcontainer.json"));
}

#[test]
fn chosen_options_win_over_defaults_and_over_the_products_version() {
    let chosen = options(&[("baseImage", "ubuntu:24.04"), ("claudeVersion", "1.2.3"), ("memory", "12g")]);
    let config = devcontainer(&render(SANDBOX, &chosen, VERSION).expect("renders"));
    assert_eq!(config["build"]["args"], json!({ "BASE_IMAGE": "ubuntu:24.04", "CLAUDE_VERSION": "1.2.3" }));
    assert!(config["runArgs"].as_array().expect("a list").contains(&json!("--memory=12g")));
    let config = devcontainer(&render(SANDBOX, &BTreeMap::new(), VERSION).expect("renders"));
    assert_eq!(config["build"]["args"]["CLAUDE_VERSION"], VERSION);
}

#[test]
fn what_cannot_be_rendered_says_why() {
    let check = |id: &str, pairs: &[(&str, &str)], expected: &str| {
        let error = render(id, &options(pairs), VERSION).expect_err("refused");
        assert_eq!(error.to_string(), expected);
    };
    check("nope", &[], "find the template 'nope'; there is claude-sandbox");
    check(
        SANDBOX,
        &[("base", "x")],
        "set the option 'base': the template 'claude-sandbox' has baseImage, claudeVersion, memory",
    );
    check(SANDBOX, &[("memory", "")], "set the option 'memory' to nothing; leave it out for its default");
    check(
        SANDBOX,
        &[("memory", "4g\", \"--privileged")],
        "set the option 'memory': its value contains '\"', which is not allowed",
    );
    check(
        SANDBOX,
        &[("memory", "${localEnv:HOME}")],
        "set the option 'memory': its value contains '$', which is not allowed",
    );
    check(
        SANDBOX,
        &[("baseImage", "x\nRUN y")],
        "set the option 'baseImage': its value contains '\\n', which is not allowed",
    );
    check(
        SANDBOX,
        &[("baseImage", &"x".repeat(257))],
        "set the option 'baseImage': its value has 257 characters, and 256 are allowed",
    );
}

#[test]
fn fixed_choices_take_nothing_else() {
    let metadata: metadata::Metadata = serde_json::from_value(json!({
        "id": "t", "name": "T", "description": "",
        "options": {
            "zsh": { "type": "boolean", "description": "", "default": true },
            "mode": { "type": "string", "description": "", "enum": ["compose", "single"], "default": "single" },
        },
    }))
    .expect("valid metadata");
    let values = |pairs| metadata.values(&options(pairs)).map_err(|error| error.to_string());
    assert_eq!(values(&[]), Ok(options(&[("mode", "single"), ("zsh", "true")])));
    assert_eq!(values(&[("mode", "compose"), ("zsh", "false")]), Ok(options(&[("mode", "compose"), ("zsh", "false")])));
    assert_eq!(
        values(&[("mode", "both")]),
        Err("set the option 'mode' to 'both'; it takes compose, single".to_owned())
    );
    assert_eq!(values(&[("zsh", "yes")]), Err("set the option 'zsh' to 'yes'; it takes true, false".to_owned()));
    let offered: Vec<_> = metadata.info().options.into_iter().map(|option| (option.id, option.proposals)).collect();
    assert_eq!(offered[0], ("zsh".to_owned(), vec!["true".to_owned(), "false".to_owned()]));
    assert_eq!(offered[1], ("mode".to_owned(), vec!["compose".to_owned(), "single".to_owned()]));
}

fn rendered_files() -> impl Strategy<Value = Vec<RenderedFile>> {
    let file = ("[ab]{1,2}(/[ab]){0,1}", "[xy]{0,2}", any::<bool>());
    prop::collection::vec(file, 0..5).prop_map(|files| {
        let unique: BTreeMap<_, _> = files.into_iter().map(|(path, contents, run)| (path, (contents, run))).collect();
        let file = |(path, (contents, executable))| RenderedFile { path, contents, executable };
        unique.into_iter().map(file).collect()
    })
}

fn project() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    prop::collection::btree_map(
        "[ab]{1,2}(/[ab]){0,1}(\\.boxwood-new(-[23])?)?",
        "[xy]{0,2}".prop_map(String::into_bytes),
        0..8,
    )
}

fn writes(plan: &[InsertAction]) -> impl Iterator<Item = &RenderedFile> {
    plan.iter().filter_map(|action| match action {
        InsertAction::Write(file) | InsertAction::Keep { proposal: Some(file), .. } => Some(file),
        InsertAction::Unchanged { .. } | InsertAction::Keep { proposal: None, .. } => None,
    })
}

proptest! {
    #[test]
    fn any_allowed_value_arrives_unchanged(image in "[^\\p{Cc}\"'`\\\\$\u{2028}\u{2029}]{1,64}", memory in "[0-9a-z ]{1,8}") {
        let chosen = options(&[("baseImage", &image), ("memory", &memory)]);
        let config = devcontainer(&render(SANDBOX, &chosen, VERSION).expect("renders"));
        prop_assert_eq!(&config["build"]["args"]["BASE_IMAGE"], &json!(image));
        let limit = json!(format!("--memory-swap={memory}"));
        prop_assert!(config["runArgs"].as_array().expect("a list").contains(&limit));
    }

    #[test]
    fn options_never_change_the_shape(name in "baseImage|claudeVersion|memory", value in any::<String>()) {
        let shape = |config: &Value| {
            let object = config.as_object().expect("an object");
            (object.keys().cloned().collect::<Vec<_>>(), object["runArgs"].as_array().map(Vec::len), object["mounts"].clone())
        };
        let default = devcontainer(&render(SANDBOX, &BTreeMap::new(), VERSION).expect("renders"));
        if let Ok(rendered) = render(SANDBOX, &options(&[(&name, &value)]), VERSION) {
            prop_assert_eq!(shape(&devcontainer(&rendered)), shape(&default));
        }
    }

    #[test]
    fn insertion_changes_no_file_and_converges(rendered in rendered_files(), before in project()) {
        let look = |files: &BTreeMap<String, Vec<u8>>, path: &str| files.get(path).cloned();
        let plan = insert_plan(rendered.clone(), &|path| look(&before, path));
        prop_assert_eq!(plan.len(), rendered.len());
        let mut after = before.clone();
        for file in writes(&plan) {
            prop_assert!(after.insert(file.path.clone(), file.contents.clone().into_bytes()).is_none(), "{}", file.path);
        }
        for file in &rendered {
            let wanted = file.contents.as_bytes();
            let beside = format!("{}.boxwood-new", file.path);
            let there = after.iter().any(|(path, content)| (path == &file.path || path.starts_with(&beside)) && content == wanted);
            prop_assert!(there, "{} is neither at its place nor beside it", file.path);
        }
        let again = insert_plan(rendered, &|path| look(&after, path));
        prop_assert_eq!(writes(&again).count(), 0);
    }
}
