//! What of a person's git goes into a sandbox: who they are, and credentials one by one, host by host.
//!
//! Nothing else of the person's configuration does: it names programs, and programs of this machine are not inside.

pub mod answer;
pub mod identity;
pub mod request;

pub use answer::{Answer, AnswerError};
pub use identity::{Carried, Identity, carry};
pub use request::{Request, RequestError};
