//! `inspect`: one sandbox with everything that is known of it, or the configuration in force.

use boxwood_protocol::config::{ConfigReport, ConfigSource, Lifetime};
use boxwood_protocol::contract::{GetConfig, Inspect};
use boxwood_protocol::params::ProjectParams;
use boxwood_protocol::sandbox::SandboxDetail;
use jiff::Timestamp;
use serde_json::Value;

use super::Outcome;
use super::egress::{bypass_words, enforcement};
use super::list::{health, state};
use crate::args::InspectArguments;
use crate::context::Context;
use crate::output::table::{Cell, fields, one_line};
use crate::output::units::{age, count, size};
use crate::output::{Paint, Style};

pub(super) async fn inspect(arguments: InspectArguments, context: &Context) -> Outcome {
    if arguments.config {
        let project = context.project()?;
        let connection = context.connect().await?;
        let report = connection.call::<GetConfig>(&ProjectParams { project: Some(project) }).await?;
        context.screen.show(&report, |paint| config_words(&report, paint))?;
        return Ok(0);
    }
    let target = context.target(arguments.target)?;
    let connection = context.connect().await?;
    let detail = connection.call::<Inspect>(&target).await?;
    context.screen.show(&detail, |paint| words(&detail, paint, Timestamp::now()))?;
    Ok(0)
}

fn words(detail: &SandboxDetail, paint: Paint, now: Timestamp) -> String {
    let sandbox = &detail.sandbox;
    let limits = &detail.limits;
    let cpus = if limits.cpus > 0.0 { limits.cpus.to_string() } else { "all".to_owned() };
    let lifetime = match sandbox.lifetime {
        Lifetime::Persistent => "kept until removed",
        Lifetime::Ephemeral => "removed when Claude ends",
    };
    let image = match detail.variant {
        Some(variant) => format!("{} ({})", sandbox.image, variant.as_str()),
        None => sandbox.image.clone(),
    };
    let mut pairs = vec![
        ("sandbox", Cell::styled(Style::Head, &sandbox.id)),
        ("state", state(sandbox.state)),
        ("health", health(sandbox)),
        ("project", (&sandbox.project).into()),
        ("session", (&sandbox.session).into()),
        ("lifetime", lifetime.into()),
        ("network policy", enforcement(sandbox.network, sandbox.enforcement)),
    ];
    if let Some(alarm) = &sandbox.alarm {
        pairs.push(("alarm", Cell::styled(Style::Bad, alarm)));
    }
    if let Some(until_ms) = sandbox.bypass_until_ms {
        pairs.push(("bypass", bypass_words(until_ms, now)));
    }
    if sandbox.blocked > 0 {
        pairs.push((
            "refused",
            count(usize::try_from(sandbox.blocked).unwrap_or(usize::MAX), "connection", "connections").into(),
        ));
    }
    pairs.extend([
        ("image", image.into()),
        ("claude", (&sandbox.claude_version).into()),
        ("container", (&sandbox.container).into()),
        ("made", format!("{} ago", age(&sandbox.created_at, now)).into()),
        ("runs as", (&detail.user).into()),
        ("memory", size(limits.memory_bytes).into()),
        ("processors", cpus.into()),
        ("processes", limits.pids.to_string().into()),
        ("open files", limits.nofile.to_string().into()),
        ("kept in", (&detail.state_directory).into()),
    ]);
    let mut text = fields(paint, &pairs);
    text.push_str("\nmounts\n");
    for mount in &detail.mounts {
        let mode = if mount.is_read_only { "read-only" } else { "writable " };
        let source =
            if mount.source == mount.target { String::new() } else { format!(" from {}", one_line(&mount.source)) };
        text.push_str(&format!("  {} {}{source}\n", paint.paint(Style::Dim, mode), one_line(&mount.target)));
    }
    if !detail.checks.is_empty() {
        text.push_str("\nchecks\n");
    }
    for check in &detail.checks {
        let mark = if check.ok { paint.paint(Style::Good, "ok  ") } else { paint.paint(Style::Bad, "FAIL") };
        text.push_str(&format!("  {mark} {}: {}\n", one_line(&check.name), one_line(&check.detail)));
    }
    if sandbox.is_outdated {
        text.push_str("\nIts configuration has changed since; 'boxwood refresh' applies it.\n");
    }
    text
}

fn config_words(report: &ConfigReport, paint: Paint) -> String {
    let effective = serde_json::to_value(&report.effective).unwrap_or_default();
    let rows: Vec<(&str, Cell)> = effective
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let shown = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let source = match report.sources.get(name) {
                None | Some(ConfigSource::Default) => "",
                Some(ConfigSource::User) => "  (your file)",
                Some(ConfigSource::Project) => "  (the project's file)",
                Some(ConfigSource::Request) => "  (this request)",
            };
            (name.as_str(), Cell::from(format!("{shown}{source}")))
        })
        .collect();
    let mut text = format!("configuration of {}\n\n{}", one_line(&report.project), fields(paint, &rows));
    if let Some(file) = &report.project_file {
        let approval = if report.is_approved {
            paint.paint(Style::Good, "approved")
        } else {
            paint.paint(Style::Warning, "awaits approval: 'boxwood start --approve-config'")
        };
        text.push_str(&format!("\n{}: {approval}\n", one_line(file)));
    }
    for what in &report.widens {
        text.push_str(&format!("  asks for more: {}\n", one_line(what)));
    }
    text
}
