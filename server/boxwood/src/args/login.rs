//! The flags of `login`.

use boxwood_protocol::login::LoginKind;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct LoginArguments {
    /// Make a token that is good for a year, and keep it in the keyring.
    #[arg(long, conflicts_with = "console")]
    pub(crate) setup_token: bool,
    /// Sign in with an account of the console, and keep its key in the keyring.
    #[arg(long)]
    pub(crate) console: bool,
    /// Login home to sign in to [default: default].
    #[arg(long, value_name = "NAME")]
    pub(crate) home: Option<String>,
    /// Only show the address to sign in at.
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Take the place of a login that is there, without asking.
    #[arg(long)]
    pub(crate) replace: bool,
}

impl LoginArguments {
    /// The way to sign in.
    pub(crate) const fn kind(&self) -> LoginKind {
        match (self.setup_token, self.console) {
            (true, _) => LoginKind::SetupToken,
            (_, true) => LoginKind::Console,
            _ => LoginKind::Login,
        }
    }
}
