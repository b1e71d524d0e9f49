//! `prune` and `cleanup-all`: removing what was made.

use boxwood_protocol::contract::{CleanupAll, Prune};
use boxwood_protocol::params::{PruneParams, PruneReport};

use super::Outcome;
use crate::args::{CleanupArguments, PruneArguments};
use crate::consent;
use crate::context::Context;
use crate::output::table::one_line;
use crate::output::units::{count, size};
use crate::output::{Paint, Style};

pub(super) async fn prune(arguments: &PruneArguments, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    let report = context.run::<Prune>(&connection, &PruneParams { dry_run: arguments.dry_run }).await?;
    context.screen.show(&report, |paint| words(&report, paint))?;
    Ok(0)
}

pub(super) async fn cleanup_all(arguments: &CleanupArguments, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    if !arguments.dry_run && !arguments.consent.yes {
        let screen = context.screen;
        if screen.is_interactive && !screen.json {
            // What would go is shown before the question.
            let report = context.run::<CleanupAll>(&connection, &PruneParams { dry_run: true }).await?;
            screen.note(&words(&report, screen.messages));
            if is_empty(&report) {
                return Ok(0);
            }
        }
        consent::confirm(screen, "Remove all of this? State on disk stays.", "--yes").await?;
    }
    let report = context.run::<CleanupAll>(&connection, &PruneParams { dry_run: arguments.dry_run }).await?;
    context.screen.show(&report, |paint| words(&report, paint))?;
    Ok(0)
}

fn is_empty(report: &PruneReport) -> bool {
    [&report.containers, &report.volumes, &report.images, &report.networks].into_iter().all(Vec::is_empty)
}

fn words(report: &PruneReport, paint: Paint) -> String {
    if is_empty(report) {
        return "There is nothing to remove.".to_owned();
    }
    let verb = if report.is_dry_run { "would remove" } else { "removed" };
    let mut lines = Vec::new();
    let kinds = [
        ("container", &report.containers),
        ("volume", &report.volumes),
        ("image", &report.images),
        ("network", &report.networks),
    ];
    for (kind, names) in kinds {
        lines.extend(names.iter().map(|name| format!("{verb} {} {}", paint.paint(Style::Dim, kind), one_line(name))));
    }
    lines.push(format!(
        "{}, {}, {}; {} of images",
        count(report.containers.len(), "container", "containers"),
        count(report.volumes.len(), "volume", "volumes"),
        count(report.images.len(), "image", "images"),
        size(report.reclaimed_bytes),
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_would() {
        let report = PruneReport {
            is_dry_run: true,
            containers: vec!["boxwood-a-00000000".to_owned()],
            volumes: Vec::new(),
            images: vec!["boxwood/slim:1".to_owned(), "boxwood/full:1".to_owned()],
            networks: vec!["boxwood-egress-a".to_owned()],
            reclaimed_bytes: 300 << 20,
        };
        insta::assert_snapshot!(words(&report, Paint::new(false)), @r"
        would remove container boxwood-a-00000000
        would remove image boxwood/slim:1
        would remove image boxwood/full:1
        would remove network boxwood-egress-a
        1 container, 0 volumes, 2 images; 300 MiB of images
        ");
        assert_eq!(words(&PruneReport::default(), Paint::new(false)), "There is nothing to remove.");
    }
}
