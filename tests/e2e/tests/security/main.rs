//! What must not be possible, tried for real. `tests/security/README.md` says who is assumed to be hostile and lists
//! what is attacked.

mod confinement;
mod egress;
mod forbidden;
mod host_files;
mod hostile_input;
mod inside;
mod leaks;
mod masked;
mod replaced;
mod secrets;
mod socket;
