//! A sandbox's only way to the network.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("inside") {
        return boxwood_gateway::inside::start(std::env::args().skip(2));
    }
    boxwood_gateway::run::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("boxwood-gateway runs inside Linux containers only");
    std::process::exit(2);
}
