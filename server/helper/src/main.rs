//! The one program of ours inside a sandbox.
//!
//! Static and small, because it runs in images we know nothing about. Called `tmux`, `rg` or `claude` it starts that
//! bundled tool; otherwise its first argument names a subcommand. Every subcommand is one file.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("boxwood-helper runs inside Linux containers only");
    std::process::exit(2);
}
