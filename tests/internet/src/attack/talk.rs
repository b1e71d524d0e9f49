//! A conversation over TCP, step by step:
//!
//! - `send=BYTES`, or `drip=MILLISECONDS:BYTES`, which sends them one at a time;
//! - `hello=WISHES`: the first message of TLS, see [`super::hello`];
//! - `read=BYTES`: waits until these come;
//! - `not=BYTES`: what ends each later `read` at once, because nothing else will come after it;
//! - `within=MILLISECONDS`: how long each later step may take;
//! - `beat=MILLISECONDS`: sends a byte again and again until the connection is cut, and says when it was.
//!
//! An address is also taken in every notation that the C library knows.

use std::io::{self, Error, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::bytes::{shown, unescaped};
use super::hello;

/// How long a step may take. What is let through answers in moments, and what is not never does.
const STEP: Duration = Duration::from_millis(1500);

pub(crate) fn connect(to: &str, within: Duration) -> io::Result<TcpStream> {
    let address: SocketAddr = match to.parse() {
        Ok(address) => address,
        Err(_) => to.to_socket_addrs()?.next().ok_or_else(|| Error::other("it has no address"))?,
    };
    TcpStream::connect_timeout(&address, within)
}

/// Has the conversation; gives what was read.
pub(crate) fn talk(to: &str, steps: &[&str]) -> io::Result<String> {
    let mut within = STEP;
    let mut hopeless = Vec::new();
    let mut stream = connect(to, within)?;
    stream.set_nodelay(true)?;
    let mut all = Vec::new();
    for step in steps {
        let (verb, value) = step.split_once('=').ok_or_else(|| Error::other("a step is VERB=VALUE"))?;
        match verb {
            "send" => stream.write_all(&unescaped(value))?,
            "hello" => {
                for record in hello::records(value)? {
                    stream.write_all(&record)?;
                }
            }
            "drip" => {
                let (pause, bytes) = value.split_once(':').ok_or_else(|| Error::other("drip=MILLISECONDS:BYTES"))?;
                for byte in unescaped(bytes) {
                    stream.write_all(&[byte])?;
                    std::thread::sleep(Duration::from_millis(pause.parse().map_err(Error::other)?));
                }
            }
            "read" => read_until(&mut stream, &unescaped(value), &hopeless, within, &mut all)?,
            "not" => hopeless = unescaped(value),
            "within" => within = Duration::from_millis(value.parse().map_err(Error::other)?),
            "beat" => return beat(&mut stream, Duration::from_millis(value.parse().map_err(Error::other)?)),
            _ => return Err(Error::other(format!("there is no step '{verb}'"))),
        }
    }
    Ok(shown(&all))
}

fn read_until(
    stream: &mut TcpStream,
    wanted: &[u8],
    hopeless: &[u8],
    within: Duration,
    all: &mut Vec<u8>,
) -> io::Result<()> {
    let deadline = Instant::now() + within;
    let from = all.len();
    let mut buffer = [0; 16 * 1024];
    loop {
        let has = |part: &[u8]| all[from..].windows(part.len().max(1)).any(|window| window == part);
        if wanted.is_empty() || has(wanted) {
            return Ok(());
        }
        if has(hopeless) {
            return Err(Error::other(format!("it was refused: {}", shown(&all[from..]))));
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => all.extend_from_slice(&buffer[..length]),
            Ok(_) => return Err(Error::other(format!("it hung up after: {}", shown(&all[from..])))),
            Err(cause) => return Err(Error::other(format!("{cause}; there was: {}", shown(&all[from..])))),
        }
    }
}

fn beat(stream: &mut TcpStream, pause: Duration) -> io::Result<String> {
    let mut out = io::stdout();
    writeln!(out, "beating")?;
    out.flush()?;
    stream.set_read_timeout(Some(STEP))?;
    let mut buffer = [0; 1024];
    loop {
        let answer = stream.write_all(b"b").and_then(|()| stream.read(&mut buffer));
        if !matches!(answer, Ok(1..)) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            return Ok(format!("cut {}", now.as_millis()));
        }
        std::thread::sleep(pause);
    }
}

/// Has the same short conversation with every address of a range, until one answers.
pub(crate) fn sweep(first: &str, last: &str, port: &str, text: &str, expected: &str) -> io::Result<String> {
    let address = |text: &str| text.parse::<Ipv4Addr>().map(u32::from).map_err(Error::other);
    let (next, last) = (AtomicU32::new(address(first)?), address(last)?);
    let is_found = AtomicBool::new(false);
    let found = std::sync::Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                while !is_found.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at > last {
                        return;
                    }
                    let to = format!("{}:{port}", Ipv4Addr::from(at));
                    let steps = ["within=800".to_owned(), format!("send={text}"), format!("read={expected}")];
                    if let Ok(answer) = talk(&to, &steps.each_ref().map(String::as_str)) {
                        is_found.store(true, Ordering::Relaxed);
                        *found.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                            Some(format!("{to}: {answer}"));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_default().ok_or_else(|| Error::other("none answered"))
}
