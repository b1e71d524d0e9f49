//! An internet for tests, in one container; under the name `attack`, the tool of somebody who wants to reach it from a
//! sandbox all the same. One static program, which runs in containers of any image.

#[cfg(target_os = "linux")]
mod attack;
#[cfg(target_os = "linux")]
mod internet;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut words = std::env::args();
    let is_attack = words.next().is_some_and(|own| own.rsplit('/').next() == Some("attack"));
    let arguments: Vec<String> = words.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if is_attack { attack::main(&words) } else { internet::main(&words) }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
