//! Language features: what this server does itself for files that the product reads or judges.
//!
//! Each feature is a module that gives its share of the capabilities and answers its requests from the text and
//! `boxwood-core` alone; none asks the daemon. There is none yet, so nothing is announced and editors send no text.

use tower_lsp::ls_types::ServerCapabilities;

/// What the features can do, as announced to the editor.
#[must_use]
pub fn capabilities() -> ServerCapabilities {
    ServerCapabilities::default()
}
