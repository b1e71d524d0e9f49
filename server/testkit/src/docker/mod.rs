//! A container engine that runs nothing: it speaks the Docker API on a Unix socket, or on a named pipe on Windows, and
//! keeps everything in memory.
//!
//! It works with unmodified clients. What the product asks of an engine it answers as engine 20.10 does, errors
//! included; a conformance test holds both against the same scenario. It runs in a thread of its own, so it serves
//! tests without a runtime, tests with a paused clock and child processes alike.

mod archive;
mod attach;
mod build;
mod containers;
mod create;
mod exec;
mod fake;
mod faults;
mod files;
mod http;
mod images;
mod lifecycle;
mod listener;
mod networks;
mod routes;
mod scripts;
mod server;
mod snapshot;
mod streams;
mod system;
mod volumes;
mod world;

pub use fake::{Call, ExecRecord, FakeDocker, Health, ImageSeed, Usage};
pub use faults::Matcher;
pub use scripts::Execution;
pub use snapshot::{ContainerSnapshot, ImageSnapshot, NetworkSnapshot, Snapshot, VolumeSnapshot};
