//! One program for all targets, so that there is one to build; `BOXWOOD_FUZZ_TARGET` names the one that runs.
#![no_main]

#[path = "../../tests/fuzz/http.rs"]
mod http;
#[path = "../../tests/fuzz/targets.rs"]
mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("BOXWOOD_FUZZ_TARGET").unwrap_or_default();
    let found = targets::TARGETS.into_iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("BOXWOOD_FUZZ_TARGET is one of {:?}", targets::TARGETS.map(|(name, _)| name))).1
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
