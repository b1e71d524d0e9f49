//! What the editor asks of a language server: the conversation's beginning and end, and the features.

use boxwood_protocol::event::SubscribeParams;
use tower_lsp::LanguageServer;
use tower_lsp::jsonrpc::Result;
use tower_lsp::ls_types::{InitializeParams, InitializeResult, InitializedParams, ServerInfo};

use crate::features;
use crate::link::Link;

/// The language server.
pub(crate) struct Boxwood {
    link: Link,
}

impl Boxwood {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }
}

impl LanguageServer for Boxwood {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        if let Some(editor) = &params.client_info {
            tracing::info!(editor = editor.name, version = editor.version, "hello");
        }
        Ok(InitializeResult {
            capabilities: features::capabilities(),
            server_info: Some(ServerInfo {
                name: "boxwood".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        self.link.subscribe(SubscribeParams::default());
    }

    async fn shutdown(&self) -> Result<()> {
        self.link.close();
        Ok(())
    }
}
