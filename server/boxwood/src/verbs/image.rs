//! `image`: the images of sandboxes.

use boxwood_protocol::config::ImageVariant;
use boxwood_protocol::contract::{BuildImage, Images};
use boxwood_protocol::params::{Empty, ImageBuildParams, ImageInfo};

use super::Outcome;
use crate::args::ImageVerb;
use crate::context::Context;
use crate::output::table::{Cell, table};
use crate::output::units::size;
use crate::output::{Paint, Style};

pub(super) async fn image(verb: ImageVerb, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    match verb {
        ImageVerb::Build { variant, no_cache } => {
            let params = ImageBuildParams { variant: Some(variant), no_cache };
            let image = context.run_showing::<BuildImage>(&connection, &params, true).await?;
            context.screen.show(&image, |paint| {
                format!("{} {} ({})", paint.paint(Style::Good, "Ready:"), image.reference, size(image.size_bytes))
            })?;
        }
        ImageVerb::List => {
            let images = connection.call::<Images>(&Empty {}).await?;
            if images.is_empty() {
                context
                    .screen
                    .note("No image has been built yet. 'boxwood image build' builds one; so does 'boxwood start'.");
            }
            context.screen.show(&images, |paint| words(&images, paint))?;
        }
    }
    Ok(0)
}

fn words(images: &[ImageInfo], paint: Paint) -> String {
    if images.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<Cell>> = images
        .iter()
        .map(|image| {
            let (style, word) = if image.is_current { (Style::Good, "in use") } else { (Style::Dim, "unused") };
            vec![
                Cell::styled(Style::Head, &image.reference),
                image.variant.map_or("-", ImageVariant::as_str).into(),
                size(image.size_bytes).into(),
                Cell::styled(style, word),
            ]
        })
        .collect();
    table(paint, &["IMAGE", "VARIANT", "SIZE", "USE"], &rows)
}
