//! What sandboxes hold of a credential, with the real claude and an imitation of what it signs in to.

mod gateways;
mod renewal;
