//! The tables: spellings of hosts and paths, private addresses, precedence, layers, presets.

mod hosts;
mod judging;
mod layers;
mod paths;
mod presets;
