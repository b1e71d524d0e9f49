//! Builds: Dockerfiles read far enough to give an image its base, labels and environment, and to fail where a real
//! build would.

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
    let built = engine.change(|world| run(world, query, &instructions, context, refused, &mut said));
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

fn run(
    world: &mut World,
    query: &Query,
    instructions: &[(String, String)],
    context: &[u8],
    refused: Option<String>,
    said: &mut Vec<Value>,
) -> Result<String, String> {
    let mut image = Image { arch: "amd64".to_owned(), ..Image::default() };
    let mut stages: Vec<String> = Vec::new();
    for (index, (name, rest)) in instructions.iter().enumerate() {
        let step = format!("Step {}/{} : {name} {rest}\n", index + 1, instructions.len());
        said.push(json!({ "stream": step }));
        match name.as_str() {
            "FROM" => {
                let is_target = |stage: &String| stage == query.get("target");
                if stages.last().is_some_and(is_target) {
                    break;
                }
                image = base(world, rest, &stages, image)?;
                stages.push(
                    rest.split_whitespace()
                        .skip_while(|word| !word.eq_ignore_ascii_case("as"))
                        .nth(1)
                        .unwrap_or_default()
                        .to_owned(),
                );
            }
            "RUN" => exit_of(rest)?,
            "LABEL" => image.labels.extend(pairs(rest)),
            "ENV" => image.env.extend(pairs(rest).into_iter().map(|(key, value)| format!("{key}={value}"))),
            _ => {}
        }
        let layer = digest(format!("{index} {name} {rest}").as_bytes());
        said.push(json!({ "stream": format!(" ---> {}\n", &layer[..12]) }));
    }
    if let Some(text) = refused {
        return Err(text);
    }
    image.labels.extend(query.map("labels"));
    image.tags.clear();
    let recipe = format!("{}{:?}{:?}", digest(context), image.labels, query.map("buildargs"));
    image.id = format!("sha256:{}", digest(recipe.as_bytes()));
    let id = image.id.clone();
    images::add(world, image, query.get("t"), "tag");
    Ok(id)
}

/// What a stage begins with: nothing, an earlier stage, or an image, fetched when it is not there.
fn base(world: &mut World, from: &str, stages: &[String], before: Image) -> Result<Image, String> {
    let reference = from.split_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default();
    if reference == "scratch" {
        return Ok(Image { arch: "amd64".to_owned(), ..Image::default() });
    }
    if stages.iter().any(|stage| stage == reference) {
        return Ok(before);
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

fn pairs(text: &str) -> Vec<(String, String)> {
    let words = text.split_whitespace().filter_map(|word| word.split_once('='));
    words.map(|(key, value)| (key.trim_matches('"').to_owned(), value.trim_matches('"').to_owned())).collect()
}
