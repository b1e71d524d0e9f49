//! Verdicts for people and for clients.

use boxwood_protocol::egress::{EgressAction, EgressLayer, EgressVerdict};

use super::judge::{Compiled, Judged, REASON_PRIVATE};
use super::rule::rule_text;

impl Compiled {
    /// The rule that decided, as text.
    #[must_use]
    pub fn rule_text(&self, judged: &Judged) -> Option<String> {
        self.rule(judged).map(|placed| rule_text(&placed.rule))
    }

    /// A verdict in plain words, for example `allowed: the preset github says so (*.github.com:443)`.
    #[must_use]
    pub fn explain(&self, judged: &Judged) -> String {
        let done = match judged.action {
            EgressAction::Allow => "allowed",
            EgressAction::Ask => "held until you answer",
            EgressAction::Deny => "refused",
        };
        let preset = self.rule(judged).and_then(|placed| placed.preset.as_deref());
        let by = match judged.layer {
            EgressLayer::BuiltIn => match judged.reason {
                Some(REASON_PRIVATE) => "it is a private address, and no rule names it",
                _ => "no policy can allow it: it stands for the gateway itself or for no single host",
            },
            EgressLayer::Bypass => "everything is let through for a while",
            EgressLayer::Session => "decided for this sandbox until it stops",
            EgressLayer::Remembered => "decided for this project",
            EgressLayer::UserDeny => "your own file denies it",
            EgressLayer::Request => "the editor's settings or the command line say so",
            EgressLayer::Project => "the project's file says so",
            EgressLayer::User => "your own file says so",
            EgressLayer::Preset => "a preset says so",
            EgressLayer::Default => "no rule names it",
        };
        let by = preset.map_or_else(|| by.to_owned(), |preset| format!("the preset {preset} says so"));
        let rule = self.rule_text(judged).map(|text| format!(" ({text})")).unwrap_or_default();
        let opens = if judged.opens_tls && judged.action != EgressAction::Deny {
            "; its TLS is opened to judge each request"
        } else {
            ""
        };
        format!("{done}: {by}{rule}{opens}")
    }

    /// A verdict as clients see it.
    #[must_use]
    pub fn verdict(&self, judged: &Judged) -> EgressVerdict {
        EgressVerdict {
            action: judged.action,
            layer: judged.layer,
            rule: self.rule(judged).cloned(),
            explanation: self.explain(judged),
        }
    }
}
