//! Images, templates and examinations: their parameters and results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::config::ImageVariant;

/// Asks for an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ImageBuildParams {
    /// Which variant; `slim` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<ImageVariant>,
    /// Build even if an image of the same content exists, without the engine's cache.
    #[serde(default)]
    pub no_cache: bool,
}

/// An image that the product built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ImageInfo {
    /// Reference with its tag.
    pub reference: String,
    /// Id as the engine gives it.
    pub id: String,
    /// Variant, for an agent image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub variant: Option<ImageVariant>,
    /// Size on disk, bytes.
    #[ts(type = "number")]
    pub size_bytes: u64,
    /// Whether a sandbox uses it or the next would.
    pub is_current: bool,
}

/// A devcontainer template on offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TemplateInfo {
    /// Id.
    pub id: String,
    /// Name to show.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its options.
    pub options: Vec<TemplateOption>,
}

/// An option of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TemplateOption {
    /// Id.
    pub id: String,
    /// What it does.
    pub description: String,
    /// Value when none is chosen.
    pub default: String,
    /// Values on offer; any when empty.
    pub proposals: Vec<String>,
}

/// Writes a template into a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct TemplateInsertParams {
    /// Path of the project.
    #[serde(default)]
    #[ts(optional = false)]
    pub project: String,
    /// Id of the template.
    #[serde(default)]
    #[ts(optional = false)]
    pub template: String,
    /// Chosen options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
    /// Only say what would be written.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TemplateInsertResult {
    /// Files that were, or would be, written: absolute paths.
    pub written: Vec<String>,
    /// Files that already hold exactly this content.
    pub unchanged: Vec<String>,
    /// Files that exist with other content and were left alone; the template's version is beside them as `*.boxwood-new`.
    pub kept: Vec<String>,
    /// The file to open.
    pub open: String,
}

/// What an examination found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum CheckStatus {
    /// In order.
    Ok,
    /// Works, with a reservation.
    Warning,
    /// Does not work.
    Failed,
}

/// One line of an examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DoctorCheck {
    /// Stable id, for example `engine`.
    pub id: String,
    /// What was examined.
    pub title: String,
    /// What was found.
    pub status: CheckStatus,
    /// The finding in plain words.
    pub detail: String,
    /// The next step, unless it is in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub hint: Option<String>,
}

/// An examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// The worst of all checks.
    pub status: CheckStatus,
    /// The checks.
    pub checks: Vec<DoctorCheck>,
}
