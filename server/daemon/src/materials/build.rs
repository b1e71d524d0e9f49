//! Builds on the engine: contexts packed, lines told, failures worded.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use boxwood_core::labels;
use boxwood_engine::{BuildSpec, Engine, EngineError, ImageDetail};
use boxwood_protocol::{ErrorCode, RpcError};
use bytes::Bytes;
use futures::StreamExt as _;

use crate::error::{self, Result};
use crate::files::{self, Found};
use crate::operations::Handle;
use crate::sys::User;

/// Lines of a failed build that the error repeats.
const LAST_LINES: usize = 12;

/// What the label of a build's steps says that they are for; the image in the end is for something else.
pub(crate) const LAYER: &str = "layer";

/// How long a step that is cut short may take to end.
const CUT_SHORT: Duration = Duration::from_secs(30);

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

    /// Adds the file or link at `source` below `project` under `path`, with its mode but without its times and owner: a
    /// checkout of the same contents is the same context. A sandbox may be giving its name to something else meanwhile.
    pub(crate) fn host_file(&mut self, path: &Path, project: &Path, source: &Path) -> Result<()> {
        self.append_host(path, project, source).map_err(|cause| error::file("pack", &project.join(source), &cause))
    }

    fn append_host(&mut self, path: &Path, project: &Path, source: &Path) -> std::io::Result<()> {
        let mut header = tar::Header::new_gnu();
        match files::open_beneath(project, source)? {
            Found::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_mtime(0);
                header.set_size(0);
                self.tar.append_link(&mut header, path, target)
            }
            Found::File(mut file) => {
                header.set_metadata(&file.metadata()?);
                header.set_mtime(0);
                header.set_uid(0);
                header.set_gid(0);
                // As much as is there now, whatever its size was a moment ago.
                let mut contents = Vec::new();
                file.read_to_end(&mut contents)?;
                header.set_size(contents.len() as u64);
                self.tar.append_data(&mut header, path, contents.as_slice())
            }
        }
    }

    /// The packed context.
    pub(crate) fn finish(self) -> Result<Bytes> {
        self.tar.into_inner().map(Bytes::from).map_err(|cause| pack(&cause))
    }
}

fn pack(cause: &std::io::Error) -> RpcError {
    error::internal("failed to pack a build context").caused_by(cause)
}

/// How often a build is begun when what it was to use again is removed meanwhile.
const TRIES: usize = 3;

/// Builds an image, telling each line. What a build that fails or is cancelled has left of its steps goes again.
pub(crate) async fn run(engine: &Arc<dyn Engine>, handle: &Handle, spec: &BuildSpec) -> Result<()> {
    let mut steps = Steps { engine: Arc::clone(engine), spec_labels: own_labels(spec), made: Made::default() };
    let mut result = follow(engine, handle, spec, &mut steps.made).await;
    for _ in 1..TRIES {
        let Err(Failed { has_lost_a_step: true, .. }) = &result else { break };
        handle.log("a step that was to be used again has been removed meanwhile; building anew");
        result = follow(engine, handle, spec, &mut steps.made).await;
    }
    let result = result.map_err(|failed| failed.problem);
    let made = std::mem::take(&mut steps.made);
    if result.is_err() {
        clear(&steps.engine, &steps.spec_labels, made).await;
    }
    result
}

/// Why a build did not come to its end.
struct Failed {
    problem: RpcError,
    has_lost_a_step: bool,
}

/// Whether somebody removed the image of an earlier step, for example as the last use of it, after the engine had found
/// that it need not be built. The classic builder fails then, in one of these ways; it can be built.
fn is_lost_step(cause: &EngineError) -> bool {
    let said = cause.to_string();
    let ways = ["failed to get digest sha256:", "no such image: sha256:", "unknown parent image id sha256:"];
    ways.iter().any(|way| said.to_ascii_lowercase().contains(way))
}

async fn follow(
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    spec: &BuildSpec,
    made: &mut Made,
) -> std::result::Result<(), Failed> {
    let mut last = std::collections::VecDeque::new();
    let failed = |cause: &boxwood_engine::EngineError, last: &std::collections::VecDeque<String>| {
        let problem = error::engine(&format!("build the image {}", spec.tag), cause);
        let problem = if problem.code == ErrorCode::EngineFailed {
            RpcError::new(ErrorCode::ImageFailed, problem.message).caused_by(cause)
        } else {
            problem
        };
        let problem = match last.is_empty() {
            true => problem,
            false => problem.caused_by(last.iter().cloned().collect::<Vec<_>>().join("\n")),
        };
        Failed { problem, has_lost_a_step: is_lost_step(cause) }
    };
    let mut lines = engine.build_image(spec).await.map_err(|cause| failed(&cause, &last))?;
    while let Some(line) = lines.next().await {
        let line = line.map_err(|cause| failed(&cause, &last))?;
        let line = plain(&line);
        let line = line.trim_end();
        made.hear(line);
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

/// Images that a build has made of its steps, as far as it said so.
#[derive(Debug, Default)]
struct Made {
    images: Vec<String>,
    /// Whether the next image was there before: a stage's base, or from the engine's cache.
    is_found: bool,
}

impl Made {
    /// Hears a line of the classic builder.
    fn hear(&mut self, line: &str) {
        if line.starts_with("Step ") {
            self.is_found = line.split(' ').nth(3).is_some_and(|word| word.eq_ignore_ascii_case("from"));
            return;
        }
        let Some(said) = line.trim_start().strip_prefix("---> ") else { return };
        if said == "Using cache" {
            self.is_found = true;
        } else if said.len() == 12 && said.bytes().all(|byte| byte.is_ascii_hexdigit()) && !self.is_found {
            self.images.push(said.to_owned());
        }
    }
}

/// The steps of a build that may not come to its end.
struct Steps {
    engine: Arc<dyn Engine>,
    spec_labels: [String; 2],
    made: Made,
}

impl Drop for Steps {
    fn drop(&mut self) {
        let made = std::mem::take(&mut self.made);
        if !made.images.is_empty() {
            let (engine, filter) = (Arc::clone(&self.engine), self.spec_labels.clone());
            tokio::spawn(async move { clear(&engine, &filter, made).await });
        }
    }
}

/// Filter for what carries the label of this build's owner and is a step of a build.
fn own_labels(spec: &BuildSpec) -> [String; 2] {
    let owner = spec.labels.get(labels::OWNER).map_or("", String::as_str);
    [labels::equals(labels::OWNER, owner), labels::equals(labels::ROLE, LAYER)]
}

/// Removes the images of steps. Whatever stays behind is the business of `prune`.
async fn clear(engine: &Arc<dyn Engine>, filter: &[String], made: Made) {
    // A step that is being cut short still uses the image of the one before, until its container is gone.
    let mut events = engine.events(filter).await.ok();
    for id in made.images.iter().rev() {
        // Any program of a build can say what looks like a step, so nothing goes but what is known to be one.
        let is_step = match engine.inspect_image(id).await {
            Ok(Some(image)) => image.tags.is_empty() && is_labelled(&image, filter),
            _ => false,
        };
        if !is_step {
            continue;
        }
        while let Err(EngineError::Conflict(_)) = engine.remove_image(id).await {
            let Some(events) = &mut events else { break };
            let has_changed = tokio::time::timeout(CUT_SHORT, events.next()).await;
            if !matches!(has_changed, Ok(Some(Ok(_)))) {
                break;
            }
        }
    }
}

fn is_labelled(image: &ImageDetail, filter: &[String]) -> bool {
    filter.iter().all(|wanted| image.labels.iter().any(|(key, value)| labels::equals(key, value) == *wanted))
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

/// The text of a Dockerfile with something added after every `FROM`: a label, by which what a build leaves of its steps
/// is known as ours, and the host's certificates, when the context has a file `certificates` of them.
pub(crate) fn prepared(dockerfile: &str, user: User, certificates: Option<&str>) -> String {
    const INSIDE: &str = "/usr/local/share/boxwood-ca.pem";
    let mut addition = format!("LABEL {}={} {}={LAYER}\n", labels::OWNER, user.uid, labels::ROLE);
    if let Some(certificates) = certificates {
        let variables: Vec<String> =
            crate::lifecycle::spec::CERTIFICATE_VARIABLES.iter().map(|name| format!("{name}={INSIDE}")).collect();
        addition.push_str(&format!("COPY {certificates} {INSIDE}\nENV {}\n", variables.join(" ")));
    }
    let escape = escape(dockerfile);
    let (mut text, mut is_continued, mut is_from) = (String::new(), false, false);
    for line in dockerfile.lines() {
        let words = line.trim();
        text.push_str(line);
        text.push('\n');
        // Comments and empty lines do not end what they stand in.
        if is_continued && (words.is_empty() || words.starts_with('#')) {
            continue;
        }
        if !is_continued {
            is_from = words.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from "));
        }
        is_continued = words.ends_with(escape) && !words.starts_with('#');
        if is_from && !is_continued {
            text.push_str(&addition);
        }
    }
    text
}

/// What continues a line: a backslash, unless a directive at the file's beginning says otherwise.
fn escape(dockerfile: &str) -> char {
    let directives = dockerfile.lines().map_while(|line| line.trim().strip_prefix('#')?.split_once('='));
    let escape = directives.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("escape"));
    escape.and_then(|(_, value)| value.trim().chars().next()).unwrap_or('\\')
}

/// Name of the bundle in a context.
pub(crate) const CERTIFICATES: &str = ".boxwood-ca.pem";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_and_certificates_enter_every_stage() {
        let user = User { uid: 7, gid: 8 };
        let check = |dockerfile: &str, certificates: Option<&str>, expected: &[&str]| {
            let text = prepared(dockerfile, user, certificates);
            let before = text.lines().zip(text.lines().skip(1)).filter(|(_, next)| next.starts_with("LABEL"));
            assert_eq!(before.map(|(line, _)| line).collect::<Vec<_>>(), expected, "{text}");
            assert_eq!(
                text.matches("COPY .boxwood-ca.pem").count(),
                certificates.map_or(0, |_| expected.len()),
                "{text}"
            );
        };
        let stages = "# x\nFROM a AS b\nRUN c\nfrom \\\n  d\nRUN FROM\n";
        check(stages, None, &["FROM a AS b", "  d"]);
        check(stages, Some(CERTIFICATES), &["FROM a AS b", "  d"]);
        check("FROM a\nRUN b \\\n# c\n\n from d\n", None, &["FROM a"]);
        check("# escape=`\nFROM a\nRUN b `\n from d\nRUN \\\nFROM e\n", None, &["FROM a", "FROM e"]);
        assert!(prepared("FROM a", user, None).contains("LABEL dev.boxwood.owner=7 dev.boxwood.role=layer\n"));
    }

    #[test]
    fn what_a_build_makes_is_told_from_what_it_finds() {
        let mut made = Made::default();
        let lines = "Step 1/5 : FROM a\n ---> 000000000001\nStep 2/5 : LABEL a=b\n ---> Using cache\n ---> 000000000002\n\
                     Step 3/5 : RUN c\n ---> Running in 000000000003\nRemoving intermediate container 000000000003\n\
                     ---> 000000000004\n ---> [Warning] x\nStep 4/5 : FROM d\n ---> 000000000005\n\
                     Step 5/5 : COPY e f\n ---> 000000000006";
        lines.lines().for_each(|line| made.hear(line));
        assert_eq!(made.images, ["000000000004", "000000000006"]);
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
