//! `devcontainer-template.json`: what a template offers, and which values its options take.
//! Format: <https://containers.dev/implementors/templates/>.

use std::collections::BTreeMap;

use boxwood_protocol::params::{TemplateInfo, TemplateOption};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::TemplateError;

const LONGEST_VALUE: usize = 256;

/// The parts of the metadata that are used here.
#[derive(Deserialize)]
pub(super) struct Metadata {
    id: String,
    name: String,
    description: String,
    #[serde(default)]
    options: Options,
}

/// The options in the order of the file.
#[derive(Default, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
struct Options(Vec<(String, OptionSpec)>);

/// One option, as the format defines it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum OptionSpec {
    Boolean {
        description: String,
        #[serde(default)]
        default: bool,
    },
    String {
        description: String,
        default: String,
        /// The only values.
        #[serde(default, rename = "enum")]
        only: Vec<String>,
        /// Suggestions beside which any value goes.
        #[serde(default)]
        proposals: Vec<String>,
    },
}

impl TryFrom<Map<String, Value>> for Options {
    type Error = serde_json::Error;

    fn try_from(map: Map<String, Value>) -> Result<Self, Self::Error> {
        let specs = map.into_iter().map(|(name, spec)| Ok((name, serde_json::from_value(spec)?)));
        specs.collect::<Result<_, _>>().map(Options)
    }
}

impl Metadata {
    pub(super) fn info(&self) -> TemplateInfo {
        let options = self.options.0.iter().map(|(id, spec)| spec.info(id)).collect();
        TemplateInfo { id: self.id.clone(), name: self.name.clone(), description: self.description.clone(), options }
    }

    pub(super) fn option(&self, id: &str) -> Option<&OptionSpec> {
        self.options.0.iter().find(|(name, _)| name == id).map(|(_, spec)| spec)
    }

    /// The value of every option: the chosen one when it may be, else the default.
    pub(super) fn values(&self, chosen: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut values: BTreeMap<_, _> = self.options.0.iter().map(|(id, spec)| (id.clone(), spec.default())).collect();
        for (id, value) in chosen {
            let Some(spec) = self.option(id) else {
                let known = self.options.0.iter().map(|(name, _)| name.clone()).collect();
                return Err(TemplateError::UnknownOption { template: self.id.clone(), option: id.clone(), known });
            };
            spec.check(id, value)?;
            values.insert(id.clone(), value.clone());
        }
        Ok(values)
    }
}

impl OptionSpec {
    fn info(&self, id: &str) -> TemplateOption {
        let (description, proposals) = match self {
            Self::Boolean { description, .. } => (description, vec!["true".to_owned(), "false".to_owned()]),
            Self::String { description, only, proposals, .. } => {
                (description, if only.is_empty() { proposals.clone() } else { only.clone() })
            }
        };
        TemplateOption { id: id.to_owned(), description: description.clone(), default: self.default(), proposals }
    }

    fn default(&self) -> String {
        match self {
            Self::Boolean { default, .. } => default.to_string(),
            Self::String { default, .. } => default.clone(),
        }
    }

    fn check(&self, id: &str, value: &str) -> Result<(), TemplateError> {
        let option = id.to_owned();
        let not_offered = |option, offered: &[String]| {
            if offered.iter().any(|one| one == value) {
                return Ok(());
            }
            Err(TemplateError::NotOffered { option, value: value.to_owned(), offered: offered.to_vec() })
        };
        match self {
            Self::Boolean { .. } => return not_offered(option, &["true".to_owned(), "false".to_owned()]),
            Self::String { only, .. } if !only.is_empty() => return not_offered(option, only),
            Self::String { default, .. } if value.is_empty() && !default.is_empty() => {
                return Err(TemplateError::Empty { option });
            }
            Self::String { .. } => {}
        }
        let length = value.chars().count();
        if length > LONGEST_VALUE {
            return Err(TemplateError::TooLong { option, length, limit: LONGEST_VALUE });
        }
        match value.chars().find(|&c| is_forbidden(c)) {
            Some(character) => Err(TemplateError::Forbidden { option, character }),
            None => Ok(()),
        }
    }
}

/// Whether `c` could end a JSON string, a shell word or a line, or start a variable, wherever a template puts a value.
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '"' | '\'' | '`' | '\\' | '$' | '\u{2028}' | '\u{2029}')
}
