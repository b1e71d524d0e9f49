//! Every reader of hostile bytes, over a small corpus and then for a while over changed pieces of it.
//!
//! This finds what is near and needs nothing but Rust; `make fuzz` runs the same targets for long, guided by coverage.
//! `BOXWOOD_FUZZ_SECONDS` says how long each target runs here.
#![cfg(target_os = "linux")]

mod http;
mod mutate;
mod targets;

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use mutate::Mutator;

/// Longest input that is made.
const LONGEST: usize = 2048;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("a corpus").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has examples");
    files.iter().map(|file| std::fs::read(file).expect("an example")).collect()
}

/// Runs a target on one input; when something does not hold, the input is shown before the test ends.
fn try_one(name: &str, target: fn(&[u8]), bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        eprintln!("target {name}, input {hex}");
        resume_unwind(panic);
    }
}

fn run(name: &str) {
    let (_, target) = targets::TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    let examples = corpus(name);
    for example in &examples {
        try_one(name, target, example);
    }
    let seconds = std::env::var("BOXWOOD_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut mutator = Mutator::new(examples, LONGEST);
    while Instant::now() < end {
        for _ in 0..64 {
            try_one(name, target, &mutator.next());
        }
    }
}

/// Each as a test of its own, so that they run side by side; the list is checked against the table.
macro_rules! tests {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_has_a_test() {
            assert_eq!([$(stringify!($name)),*], targets::TARGETS.map(|(name, _)| name));
        }
    };
}

tests!(dns, hello, sniff, socks, http, control, host, path);
