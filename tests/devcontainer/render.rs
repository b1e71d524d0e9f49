//! Prints what `boxwood_core` makes of a template as JSON, for the tests that compare it with the official CLI's result.
//!
//! `render-template ID CLAUDE_VERSION [OPTION=VALUE]…`

use std::collections::BTreeMap;
use std::error::Error;

use boxwood_core::template;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let id = arguments.next().ok_or("the template's id is missing")?;
    let version = arguments.next().ok_or("Claude's version is missing")?;
    let mut options = BTreeMap::new();
    for pair in arguments {
        let (name, value) = pair.split_once('=').ok_or("an option is OPTION=VALUE")?;
        options.insert(name.to_owned(), value.to_owned());
    }
    let files: Vec<_> = template::render(&id, &options, &version)?
        .into_iter()
        .map(|file| json!({ "path": file.path, "contents": file.contents, "executable": file.executable }))
        .collect();
    println!("{}", serde_json::to_string(&files)?);
    Ok(())
}
