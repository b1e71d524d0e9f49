//! What sandboxes work with: the real claude on the real engine, and an imitation of what it signs in to.

mod faults;
mod gateways;
mod keyring;
mod kill;
mod modes;
mod renewal;
mod week;
