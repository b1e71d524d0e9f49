//! `git-credential`: the helper that git inside runs. It asks `git-channel`, passes on what it is answered, and keeps nothing.

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::linux::error::Error;
use crate::linux::session_dir::SessionDir;

/// Most bytes that are read from either side.
const MOST: u64 = 64 * 1024;
/// How long an answer is waited for; whoever answers has less.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a credential is asked for. The daemon checks what it says.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Attributes {
    protocol: String,
    host: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
}

impl Attributes {
    /// What is asked for a URL.
    pub(crate) fn https(host: &str, path: &str) -> Self {
        Self { protocol: "https".to_owned(), host: host.to_owned(), path: path.to_owned() }
    }

    /// Reads git's lines up to the empty one or the end. A line that is said twice, or with a carriage return or a NUL in it,
    /// is an attempt to be read in two ways.
    pub(crate) fn read(input: &mut impl Read) -> io::Result<Self> {
        let odd = || io::Error::from(io::ErrorKind::InvalidData);
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while !bytes.ends_with(b"\n\n") && bytes != b"\n" {
            match input.read(&mut piece)? {
                0 => break,
                count => bytes.extend_from_slice(&piece[..count]),
            }
            if bytes.len() as u64 > MOST {
                return Err(odd());
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| odd())?;
        let mut attributes = Self::default();
        for line in text.split('\n').take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(odd)?;
            let slot = match name {
                "protocol" => &mut attributes.protocol,
                "host" => &mut attributes.host,
                "path" => &mut attributes.path,
                _ => continue,
            };
            if !slot.is_empty() || value.contains(['\r', '\0']) {
                return Err(odd());
            }
            value.clone_into(slot);
        }
        Ok(attributes)
    }

    fn lines(&self) -> String {
        let Self { protocol, host, path } = self;
        format!("protocol={protocol}\nhost={host}\npath={path}\n\n")
    }
}

/// Answers git. Without an answer nothing is printed, and git goes on as if there were no such helper.
pub(crate) fn run(args: &[OsString]) -> Result<ExitCode, Error> {
    let [action] = args else {
        return Err(Error::Usage("git-credential takes get, store or erase, as git calls it".to_owned()));
    };
    let attributes = Attributes::read(&mut io::stdin().lock());
    // What git was given belongs to the host: nothing is stored here, and nothing is there to be erased.
    if action != "get" {
        return Ok(ExitCode::SUCCESS);
    }
    let attributes = attributes.map_err(|cause| Error::system("read what git asks for", cause))?;
    if attributes.protocol != "https" {
        return Ok(ExitCode::SUCCESS);
    }
    let directory = SessionDir::of_current_user()?;
    match ask(&directory.git_socket(), &attributes) {
        Ok(answer) => say(&answer),
        Err(_) => {
            eprintln!("boxwood: no credential for {}: Boxwood does not listen at present", plain(&attributes.host));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One value of the answer; `None`, and why on standard error, when there is no answer.
pub(crate) fn value_of(attributes: &Attributes, key: &str) -> Result<Option<String>, Error> {
    let directory = SessionDir::of_current_user()?;
    let Ok(answer) = ask(&directory.git_socket(), attributes) else {
        eprintln!("boxwood: no credential for {}: Boxwood does not listen at present", plain(&attributes.host));
        return Ok(None);
    };
    let mut found = None;
    for (name, value) in answer.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "refused" => eprintln!("boxwood: no credential: {}", plain(value)),
            name if name == key => found = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(found)
}

fn ask(socket: &Path, attributes: &Attributes) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(attributes.lines().as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    Ok(answer)
}

fn say(answer: &str) {
    let mut output = io::stdout().lock();
    for line in answer.lines() {
        match line.split_once('=') {
            Some(("username" | "password", _)) => drop(writeln!(output, "{line}")),
            Some(("refused", why)) => eprintln!("boxwood: no credential: {}", plain(why)),
            _ => {}
        }
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn read(text: &str) -> Option<Attributes> {
        Attributes::read(&mut text.as_bytes()).ok()
    }

    #[test]
    fn gits_lines_are_read_up_to_the_empty_one() {
        let expected = Attributes { protocol: "https".into(), host: "a.example".into(), path: "x/y".into() };
        let lines = "protocol=https\nhost=a.example\ncapability[]=authtype\nusername=me\npath=x/y\n";
        assert_eq!(read(lines).as_ref(), Some(&expected));
        assert_eq!(read(&format!("{lines}\nhost=other")), Some(expected));
        assert_eq!(read(""), Some(Attributes::default()));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for odd in ["host=a\nhost=b\n", "host=a\r\n", "host=a\0b\n", "host\n", "path=a\rb\n"] {
            assert_eq!(read(odd), None, "{odd:?}");
        }
        assert_eq!(read(&format!("path={}\n", "x".repeat(70_000))), None);
    }

    #[test]
    fn a_question_is_asked_and_its_answer_given() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).expect("bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a question");
            let asked = Attributes::read(&mut stream).expect("attributes");
            stream.write_all(b"username=a\npassword=b\n").expect("answered");
            asked
        });
        let question = Attributes { protocol: "https".into(), host: "a.example".into(), path: String::new() };
        assert_eq!(ask(&socket, &question).expect("an answer"), "username=a\npassword=b\n");
        assert_eq!(server.join().expect("ended"), question);
    }
}
