//! `health`: is the sandbox fit for work? One JSON line, exit 0 or 1.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::linux::error::Error;
use crate::linux::probe;
use crate::linux::root::Root;

/// Below this an agent's build fails sooner or later with errors that do not name the cause.
const MIN_FREE_MIB: u64 = 256;

/// claude answers in hundredths of a second; a machine under load gets much more.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What to check.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    workspace: PathBuf,
    home: PathBuf,
    min_free_bytes: u64,
    timeout: Duration,
}

/// The answer, as printed.
#[derive(Debug, Serialize)]
struct Report {
    healthy: bool,
    checks: Vec<Check>,
}

/// One check's outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    pub(crate) detail: String,
    /// Only of `workspace-disk`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) free_bytes: Option<u64>,
}

impl Check {
    /// `Ok` and `Err` carry what there is to say.
    pub(crate) fn of(name: &'static str, outcome: Result<String, String>) -> Self {
        let ok = outcome.is_ok();
        let (Ok(detail) | Err(detail)) = outcome;
        Self { name, ok, detail, free_bytes: None }
    }
}

pub(crate) fn run(root: &Root, args: Vec<OsString>) -> Result<ExitCode, Error> {
    let request = parse(args)?;
    // The checks do not touch each other, and starting claude takes longest.
    let checks = std::thread::scope(|scope| {
        let claude = scope.spawn(|| probe::claude(&root.claude(), request.timeout));
        let mut checks = vec![
            probe::workspace_mounted(&request.workspace),
            probe::writable("workspace-writable", &request.workspace),
            probe::disk(&request.workspace, request.min_free_bytes),
            probe::writable("home-writable", &request.home),
        ];
        let died = |_| Check::of("claude", Err("the check itself failed".to_owned()));
        checks.push(claude.join().unwrap_or_else(died));
        checks
    });
    let report = Report { healthy: checks.iter().all(|check| check.ok), checks };
    let text = serde_json::to_string(&report).map_err(|error| Error::system("write the report", error))?;
    println!("{text}");
    Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What an image's own health check calls; images know their workspace by environment only.
pub(crate) fn run_for_image(root: &Root, args: &[OsString]) -> Result<ExitCode, Error> {
    if let Some(arg) = args.first() {
        return Err(Error::Usage(format!("image-healthcheck does not know '{}'", arg.display())));
    }
    run(root, Vec::new())
}

fn parse(args: Vec<OsString>) -> Result<Request, Error> {
    let mut request = Request {
        workspace: std::env::var_os("BOXWOOD_WORKSPACE").map_or_else(|| PathBuf::from("."), PathBuf::from),
        home: std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
        min_free_bytes: MIN_FREE_MIB << 20,
        timeout: TIMEOUT,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Error::Usage(format!("{} needs a value", arg.display())));
        match arg.to_str() {
            Some("--workspace") => request.workspace = value()?.into(),
            Some("--min-free-mib") => request.min_free_bytes = number(&value()?)?.saturating_mul(1 << 20),
            Some("--timeout-seconds") => request.timeout = Duration::from_secs(number(&value()?)?.clamp(1, 600)),
            _ => return Err(Error::Usage(format!("health does not know '{}'", arg.display()))),
        }
    }
    Ok(request)
}

fn number(value: &OsString) -> Result<u64, Error> {
    let number = value.to_str().and_then(|value| value.parse().ok());
    number.ok_or_else(|| Error::Usage(format!("'{}' is not a whole number", value.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn arguments_are_read() {
        let request = parse(words("--workspace /w --min-free-mib 3 --timeout-seconds 9")).expect("request");
        assert_eq!(request.workspace, PathBuf::from("/w"));
        assert_eq!(request.min_free_bytes, 3 * 1024 * 1024);
        assert_eq!(request.timeout, Duration::from_secs(9));
        for wrong in ["--workspace", "--min-free-mib many", "--timeout-seconds -1", "now"] {
            assert!(matches!(parse(words(wrong)), Err(Error::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn the_report_has_its_documented_shape() {
        let mut disk = Check::of("workspace-disk", Ok("5 MiB free".to_owned()));
        disk.free_bytes = Some(5_242_880);
        let checks = vec![Check::of("claude", Err("no answer".to_owned())), disk];
        let text = serde_json::to_string(&Report { healthy: false, checks }).expect("json");
        assert_eq!(
            text,
            r#"{"healthy":false,"checks":[{"name":"claude","ok":false,"detail":"no answer"},"#.to_owned()
                + r#"{"name":"workspace-disk","ok":true,"detail":"5 MiB free","freeBytes":5242880}]}"#
        );
    }
}
