//! Ready-made sets of hosts. They stand in one data file, which programs, documentation and tests read.

use std::sync::LazyLock;

use boxwood_protocol::egress::PresetInfo;

/// The preset that every policy has: what Claude Code itself needs.
pub const ALWAYS: &str = "claude";

static PRESETS: LazyLock<Vec<PresetInfo>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/egress-presets.json")).expect("the presets are checked by a test")
});

/// Every preset, in the order in which they are shown.
#[must_use]
pub fn presets() -> &'static [PresetInfo] {
    &PRESETS
}

/// The preset of a name.
#[must_use]
pub fn preset(name: &str) -> Option<&'static PresetInfo> {
    presets().iter().find(|preset| preset.name == name)
}
