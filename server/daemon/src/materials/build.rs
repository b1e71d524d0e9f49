//! Builds on the engine: contexts packed, lines told, failures worded.

use std::path::Path;
use std::sync::Arc;

use boxwood_engine::{BuildSpec, Engine};
use boxwood_protocol::{ErrorCode, RpcError};
use bytes::Bytes;
use futures::StreamExt as _;

use crate::error::{self, Result};
use crate::operations::Handle;

/// Lines of a failed build that the error repeats.
const LAST_LINES: usize = 12;

/// A context being packed.
pub(crate) struct Context {
    tar: tar::Builder<Vec<u8>>,
}

impl Context {
    pub(crate) fn new() -> Self {
        Self { tar: tar::Builder::new(Vec::new()) }
    }

    /// Adds a file. Times and owners are fixed, so that equal contents give equal contexts and the engine's cache holds.
    pub(crate) fn file(&mut self, path: &str, contents: &[u8], mode: u32) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        self.tar.append_data(&mut header, path, contents).map_err(|cause| pack(&cause))
    }

    /// Adds an empty directory.
    pub(crate) fn directory(&mut self, path: &str) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o755);
        header.set_mtime(0);
        self.tar.append_data(&mut header, path, std::io::empty()).map_err(|cause| pack(&cause))
    }

    /// Adds a file or link of the host under `path`.
    pub(crate) fn host_file(&mut self, path: &Path, source: &Path) -> Result<()> {
        self.tar.follow_symlinks(false);
        self.tar.append_path_with_name(source, path).map_err(|cause| error::file("pack", source, &cause))
    }

    /// The packed context.
    pub(crate) fn finish(self) -> Result<Bytes> {
        self.tar.into_inner().map(Bytes::from).map_err(|cause| pack(&cause))
    }
}

fn pack(cause: &std::io::Error) -> RpcError {
    error::internal("failed to pack a build context").caused_by(cause)
}

/// Builds an image, telling each line.
pub(crate) async fn run(engine: &Arc<dyn Engine>, handle: &Handle, spec: &BuildSpec) -> Result<()> {
    let mut last = std::collections::VecDeque::new();
    let failed = |cause: &boxwood_engine::EngineError, last: &std::collections::VecDeque<String>| {
        let problem = error::engine(&format!("build the image {}", spec.tag), cause);
        let problem = if problem.code == ErrorCode::EngineFailed {
            RpcError::new(ErrorCode::ImageFailed, problem.message).caused_by(cause)
        } else {
            problem
        };
        if last.is_empty() { problem } else { problem.caused_by(last.iter().cloned().collect::<Vec<_>>().join("\n")) }
    };
    let mut lines = engine.build_image(spec).await.map_err(|cause| failed(&cause, &last))?;
    while let Some(line) = lines.next().await {
        let line = line.map_err(|cause| failed(&cause, &last))?;
        let line = plain(&line);
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        if let Some((done, total)) = position(line) {
            handle.progress("image", format!("building the image, step {done} of {total}"), 0, 0, percent(done, total));
        }
        handle.log(line);
        last.push_back(line.to_owned());
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    Ok(())
}

/// A line without the colours that the classic builder gives to standard error.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |at| at + 1);
        rest = &after[end..];
    }
    text.push_str(rest);
    text.retain(|c| !c.is_control() || c == '\t');
    text
}

/// The position in the classic builder's `Step 3/12 : RUN …`.
fn position(line: &str) -> Option<(usize, usize)> {
    let (done, rest) = line.strip_prefix("Step ")?.split_once('/')?;
    Some((done.parse().ok()?, rest.split(' ').next()?.parse().ok()?))
}

fn percent(done: usize, total: usize) -> Option<u8> {
    u8::try_from(done.checked_mul(100)?.checked_div(total)?.min(100)).ok()
}

/// The text of a Dockerfile with the host's certificates made known after every `FROM`. The bundle is the context's
/// `.boxwood-ca.pem`.
pub(crate) fn with_certificates(dockerfile: &str) -> String {
    const INSIDE: &str = "/usr/local/share/boxwood-ca.pem";
    let variables: Vec<String> =
        crate::lifecycle::spec::CERTIFICATE_VARIABLES.iter().map(|name| format!("{name}={INSIDE}")).collect();
    let addition = format!("COPY {CERTIFICATES} {INSIDE}\nENV {}\n", variables.join(" "));
    let (mut text, mut is_continued, mut is_from) = (String::new(), false, false);
    for line in dockerfile.lines() {
        if !is_continued {
            is_from = line.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from "));
        }
        is_continued = line.trim_end().ends_with('\\');
        text.push_str(line);
        text.push('\n');
        if is_from && !is_continued {
            text.push_str(&addition);
        }
    }
    text
}

/// Name of the bundle in a context.
pub(crate) const CERTIFICATES: &str = ".boxwood-ca.pem";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_enter_every_stage() {
        let text = with_certificates("# x\nFROM a AS b\nRUN c\nfrom \\\n  d\nRUN FROM\n");
        assert_eq!(text.matches("COPY .boxwood-ca.pem").count(), 2, "{text}");
        assert!(text.contains("  d\nCOPY"), "{text}");
    }

    #[test]
    fn equal_contents_give_equal_contexts() {
        let pack = || {
            let mut context = Context::new();
            context.file("Dockerfile", b"FROM x", 0o644).expect("packed");
            context.directory("ca").expect("packed");
            context.finish().expect("packed")
        };
        assert_eq!(pack(), pack());
    }

    #[test]
    fn colours_and_controls_do_not_reach_the_log() {
        assert_eq!(plain("\u{1b}[91mE\u{1b}[0m: no \u{7}package\u{1b}[0m\r"), "E: no package");
        assert_eq!(plain("plain"), "plain");
        assert_eq!(plain("cut \u{1b}["), "cut ");
    }

    #[test]
    fn the_position_of_a_build_is_read() {
        assert_eq!(position("Step 3/12 : RUN x"), Some((3, 12)));
        assert_eq!(position(" ---> abc"), None);
    }
}
