//! Git's own server for its protocol over HTTP, which reads a request from its environment and standard input.

use std::io;
use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use hyper::http::request::Parts;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// An answer: status, headers, body.
pub(crate) type Answer = (u16, Vec<(String, String)>, Bytes);

/// Has git answer.
pub(crate) async fn answer(root: &Path, head: &Parts, body: Bytes) -> io::Result<Answer> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "somebody")
        .env("REMOTE_ADDR", "internet")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or_else(|| io::Error::other("there is no pipe"))?;
    // It may answer without having read everything.
    let write = tokio::spawn(async move { drop(input.write_all(&body).await) });
    let output = child.wait_with_output().await?;
    write.await?;
    let text = output.stdout;
    let end =
        text.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| io::Error::other("git said nothing"))?;
    let mut status = 200;
    let mut headers = Vec::new();
    for line in String::from_utf8_lossy(&text[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", value)) => status = value.get(..3).and_then(|code| code.parse().ok()).unwrap_or(500),
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => {}
        }
    }
    Ok((status, headers, Bytes::from(text).slice(end + 4..)))
}
