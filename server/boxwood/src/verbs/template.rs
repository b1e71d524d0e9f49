//! `template`: devcontainer templates.

use boxwood_protocol::contract::{InsertTemplate, Templates};
use boxwood_protocol::params::{Empty, TemplateInfo, TemplateInsertParams, TemplateInsertResult};

use super::Outcome;
use crate::args::TemplateVerb;
use crate::context::Context;
use crate::output::table::one_line;
use crate::output::{Paint, Style};
use crate::settings;

pub(super) async fn template(verb: TemplateVerb, context: &Context) -> Outcome {
    match verb {
        TemplateVerb::List => {
            let connection = context.connect().await?;
            let templates = connection.call::<Templates>(&Empty {}).await?;
            context.screen.show(&templates, |paint| words(&templates, paint))?;
        }
        TemplateVerb::Insert { template, option, dry_run } => {
            let options = settings::pairs(&option)?;
            let params = TemplateInsertParams {
                project: context.project()?,
                template,
                options: (!options.is_empty()).then_some(options),
                dry_run,
            };
            let connection = context.connect().await?;
            let result = connection.call::<InsertTemplate>(&params).await?;
            context.screen.show(&result, |paint| insert_words(&result, dry_run, paint))?;
        }
    }
    Ok(0)
}

fn words(templates: &[TemplateInfo], paint: Paint) -> String {
    let mut lines = Vec::new();
    for template in templates {
        lines.push(format!("{}  {}", paint.paint(Style::Head, &template.id), one_line(&template.name)));
        lines.push(format!("  {}", one_line(&template.description)));
        for option in &template.options {
            let proposals = match option.proposals.is_empty() {
                true => String::new(),
                false => format!("; {}", option.proposals.join(", ")),
            };
            let values = paint.paint(Style::Dim, &format!("[{}{proposals}]", option.default));
            lines.push(format!("  -o {}=…  {} {values}", option.id, one_line(&option.description)));
        }
    }
    lines.join("\n")
}

fn insert_words(result: &TemplateInsertResult, is_dry_run: bool, paint: Paint) -> String {
    let would = if is_dry_run { "would be " } else { "" };
    let mut lines = Vec::new();
    let mut add = |style: Style, word: &str, files: &[String]| {
        lines.extend(files.iter().map(|file| format!("{} {}", paint.paint(style, word), one_line(file))));
    };
    add(Style::Good, &format!("{would}written:"), &result.written);
    add(Style::Dim, "as it should be:", &result.unchanged);
    add(Style::Warning, "left alone, differs (the template's is beside it as *.boxwood-new):", &result.kept);
    lines.join("\n")
}
