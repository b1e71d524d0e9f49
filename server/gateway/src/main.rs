//! A sandbox's only way to the network.

fn main() {}
