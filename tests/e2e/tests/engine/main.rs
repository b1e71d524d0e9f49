//! The product on a real engine, as a person uses it: through the command line, one isolated world per test.
//!
//! Tests named `alone_…` change what others on the engine see, and get it to themselves.

mod absent_engine;
mod apart;
mod base;
mod clashes;
mod claude;
mod command_line;
mod commands;
mod container;
mod crashes;
mod credentials;
mod credentials_isolated;
mod daemon;
mod disk;
mod egress;
mod events;
mod git;
mod health;
mod images;
mod interrupted;
mod lifecycle;
mod login;
mod paths;
mod prune;
mod read_only_mounts;
mod runtime;
mod terminal;
