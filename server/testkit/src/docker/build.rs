//! Builds: Dockerfiles read far enough to give an image its base, labels and environment, and to fail where a real
//! build would.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::files;
use super::http::{Outcome, Query, message, refuse, stream_answer};
use super::images;
use super::world::{Engine, Image, World, digest, lock};

pub(super) fn build(engine: &Engine, query: &Query, context: &[u8]) -> Outcome {
    let entries = match files::unpack(context) {
        Ok(entries) => entries,
        Err(error) => return refuse(500, format!("Error processing tar file: {error}")),
    };
    let dockerfile = match query.get("dockerfile") {
        "" => "Dockerfile",
        name => name,
    };
    let wanted = files::normal(dockerfile);
    let Some((_, node)) = entries.iter().find(|(name, _)| files::normal(name) == wanted) else {
        return refuse(500, format!("Cannot locate specified Dockerfile: {dockerfile}"));
    };
    let instructions = instructions(&String::from_utf8_lossy(&node.bytes));
    if instructions.is_empty() {
        return refuse(400, "the Dockerfile cannot be empty");
    }
    let refused = {
        let mut settings = lock(&engine.settings);
        (!settings.build_failures.is_empty()).then(|| settings.build_failures.remove(0))
    };
    let mut said = Vec::new();
    let recipe = Recipe { query, instructions: &instructions, context: digest(context), entries: &entries, refused };
    let built = engine.change(|world| recipe.run(world, &mut said));
    match built {
        Ok(image) => {
            let short = image["sha256:".len()..][..12].to_owned();
            said.push(json!({ "aux": { "ID": image } }));
            said.push(json!({ "stream": format!("Successfully built {short}\n") }));
            said.push(json!({ "stream": format!("Successfully tagged {}\n", images::normal(query.get("t"))) }));
        }
        Err(text) => said.push(json!({ "errorDetail": { "message": text }, "error": text })),
    }
    Ok(stream_answer("application/json", futures::stream::iter(said.iter().map(message).collect::<Vec<_>>())))
}

/// Instruction and the rest of its line, continued lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            (name.to_ascii_uppercase(), rest.trim().to_owned())
        })
        .collect()
}

/// A build that has been asked for.
struct Recipe<'a> {
    query: &'a Query,
    instructions: &'a [(String, String)],
    entries: &'a [(String, files::Node)],
    /// Digest of the context.
    context: String,
    /// Why it fails at its end, when a test wants it to.
    refused: Option<String>,
}

impl Recipe<'_> {
    /// Runs the instructions; gives the image's id or why there is none.
    fn run(self, world: &mut World, said: &mut Vec<Value>) -> Result<String, String> {
        let target = self.query.get("target");
        let mut image = Image::default();
        let mut stage = String::new();
        let mut stages: BTreeMap<String, Image> = BTreeMap::new();
        for (index, (name, rest)) in self.instructions.iter().enumerate() {
            let step = format!("Step {}/{} : {name} {rest}\n", index + 1, self.instructions.len());
            if name == "FROM" {
                stages.insert(std::mem::take(&mut stage), image);
                if !target.is_empty() && stages.contains_key(target) {
                    image = stages.remove(target).unwrap_or_default();
                    break;
                }
                said.push(json!({ "stream": step }));
                let rest = self.filled(rest);
                image = base(world, &rest, &stages)?;
                stage = stage_name(&rest);
            } else {
                said.push(json!({ "stream": step }));
                self.apply(&mut image, name, rest)?;
            }
            let layer = digest(format!("{index} {name} {rest}").as_bytes());
            said.push(json!({ "stream": format!(" ---> {}\n", &layer[..12]) }));
        }
        if let Some(text) = self.refused {
            return Err(text);
        }
        image.labels.extend(self.query.map("labels"));
        image.tags.clear();
        let recipe = format!("{}{:?}{:?}", self.context, image.labels, self.query.map("buildargs"));
        image.id = format!("sha256:{}", digest(recipe.as_bytes()));
        let id = image.id.clone();
        images::add(world, image, self.query.get("t"), "tag");
        Ok(id)
    }

    /// A `FROM` with the build's arguments in it, or what the Dockerfile says where there is none.
    fn filled(&self, rest: &str) -> String {
        let declared = self.instructions.iter().filter(|(name, _)| name == "ARG");
        let given = self.query.map("buildargs");
        declared.filter_map(|(_, argument)| argument.split_once('=')).fold(rest.to_owned(), |rest, (name, default)| {
            let value = given.iter().find(|(given, _)| given == name).map_or(default, |(_, value)| value);
            rest.replace(&format!("${{{name}}}"), value)
        })
    }

    fn apply(&self, image: &mut Image, name: &str, rest: &str) -> Result<(), String> {
        match name {
            "RUN" => exit_of(rest)?,
            "LABEL" => image.labels.extend(pairs(rest)),
            "ENV" => image.env.extend(pairs(rest).into_iter().map(|(key, value)| format!("{key}={value}"))),
            "COPY" | "ADD" => self.copy(image, rest)?,
            _ => {}
        }
        Ok(())
    }

    /// Copies one file or directory of the context; what comes from another stage is left out.
    fn copy(&self, image: &mut Image, rest: &str) -> Result<(), String> {
        if rest.contains("--from=") {
            return Ok(());
        }
        let words: Vec<&str> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        let [source, target] = words.as_slice() else { return Ok(()) };
        let (from, to) = (files::normal(source), files::normal(target));
        let mut is_found = false;
        for (name, node) in self.entries {
            let name = files::normal(name);
            let Ok(inside) = Path::new(&name).strip_prefix(&from) else { continue };
            is_found = true;
            let inside = match inside.to_str() {
                Some("") if target.ends_with('/') => name.rsplit('/').next().unwrap_or_default(),
                inside => inside.unwrap_or_default(),
            };
            if node.kind.is_file() {
                image.files.insert(files::normal(&format!("{to}/{inside}")), node.clone());
            }
        }
        let missing =
            format!("COPY failed: file not found in build context or excluded by .dockerignore: stat {source}");
        if is_found { Ok(()) } else { Err(missing) }
    }
}

fn stage_name(from: &str) -> String {
    let mut words = from.split_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("as"));
    words.nth(1).unwrap_or_default().to_owned()
}

/// What a stage begins with: nothing, an earlier stage, or an image, fetched when it is not there.
fn base(world: &mut World, from: &str, stages: &BTreeMap<String, Image>) -> Result<Image, String> {
    let reference = from.split_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default();
    if reference == "scratch" {
        return Ok(Image { arch: "amd64".to_owned(), size: 1 << 20, ..Image::default() });
    }
    if let Some(stage) = stages.get(reference) {
        return Ok(stage.clone());
    }
    if images::find(world, reference).is_err() {
        images::pull(world, &images::normal(reference)).map_err(|refusal| refusal.message)?;
    }
    images::find(world, reference).cloned().map_err(|refusal| refusal.message)
}

/// The commands that fail everywhere fail here too.
fn exit_of(command: &str) -> Result<(), String> {
    let code = match command.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["false"] => 1,
        ["exit", code] => code.parse().unwrap_or(0),
        _ => 0,
    };
    if code == 0 {
        return Ok(());
    }
    Err(format!("The command '/bin/sh -c {command}' returned a non-zero code: {code}"))
}

pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let words = text.split_whitespace().filter_map(|word| word.split_once('='));
    words.map(|(key, value)| (unquoted(key), unquoted(value))).collect()
}

fn unquoted(word: &str) -> String {
    let mut plain = String::new();
    let mut rest = word.trim_matches('"').chars();
    while let Some(c) = rest.next() {
        plain.extend(if c == '\\' { rest.next() } else { Some(c) });
    }
    plain
}
