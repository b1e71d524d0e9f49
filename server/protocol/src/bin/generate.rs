//! Writes the generated files, or with `--check` fails when one is stale.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use boxwood_protocol::generate;
use serde_json::Value;

fn main() -> ExitCode {
    let is_check = std::env::args().any(|argument| argument == "--check");
    match run(is_check) {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            for path in stale {
                eprintln!("stale: {}", path.display());
            }
            eprintln!("run 'make generate' and commit the result");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(is_check: bool) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![
        (root.join("extension/src/generated/protocol.ts"), generate::typescript()),
        (root.join("docs/protocol.md"), generate::reference()),
        (root.join("extension/schemas/sandbox.schema.json"), pretty(&generate::config_schema())?),
    ];
    let manifest = root.join("extension/package.json");
    if manifest.exists() {
        files.push((manifest.clone(), with_settings(&std::fs::read_to_string(&manifest)?)?));
    }
    let mut stale = Vec::new();
    for (path, wanted) in files {
        if std::fs::read_to_string(&path).ok().as_ref() == Some(&wanted) {
            continue;
        }
        if !is_check {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, wanted)?;
        } else {
            stale.push(path);
        }
    }
    Ok(stale)
}

/// Replaces the settings in the extension's manifest, keeping those that only the editor has (`boxwood.editor.*`).
fn with_settings(manifest: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut manifest: Value = serde_json::from_str(manifest)?;
    if let Some(properties) =
        manifest.pointer_mut("/contributes/configuration/properties").and_then(Value::as_object_mut)
    {
        properties.retain(|name, _| name.starts_with("boxwood.editor."));
        if let Value::Object(settings) = generate::editor_settings() {
            properties.extend(settings);
        }
    }
    pretty(&manifest)
}

fn pretty(value: &Value) -> Result<String, Box<dyn std::error::Error>> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
