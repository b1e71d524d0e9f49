//! `notice`: a line at the bottom of the multiplexer's screens, for what the person should see while claude has the rest.
//!
//! A message of the multiplexer would freeze the screen and go at the next key. A line of its own stays for as long as
//! what it says is true, and goes by itself when nobody takes it away.

use std::ffi::OsString;
use std::process::{ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::linux::error::Error;
use crate::linux::root::Root;
use crate::linux::session_dir::SessionDir;
use crate::linux::tools::{self, Tool};

/// No line is there for longer.
const LONGEST_SECONDS: u32 = 3600;

/// What it shows, and for how many seconds; nothing takes the line away.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    seconds: u32,
    text: String,
}

/// Shows a line, or takes it away. Without a multiplexer nobody would see it, and that is said by the exit status.
pub(crate) fn run(root: &Root, args: &[OsString]) -> Result<ExitCode, Error> {
    let line = parse(args)?;
    let directory = SessionDir::of_current_user()?;
    let mut tmux = tools::command(root, Tool::Tmux)?;
    tmux.arg("-S").arg(directory.socket()).args(commands(line.as_ref(), &number()));
    tmux.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = tmux.status().map_err(|error| Error::system("start the multiplexer", error))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(args: &[OsString]) -> Result<Option<Line>, Error> {
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    match (words.as_slice(), args.len()) {
        ([], 0) => Ok(None),
        ([seconds, text], 2) => match seconds.parse() {
            Ok(seconds @ 1..=LONGEST_SECONDS) => Ok(Some(Line { seconds, text: plain(text) })),
            _ => Err(Error::Usage(format!("a notice lasts 1 to {LONGEST_SECONDS} seconds"))),
        },
        _ => Err(Error::Usage("notice takes a number of seconds and a text, or nothing".to_owned())),
    }
}

/// The text without anything that the multiplexer gives a meaning to.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '#' | ';') { '?' } else { c }).collect()
}

/// Tells one line from the next, so that the end of the first does not take the second away.
fn number() -> String {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

/// The multiplexer's commands, one after the other.
fn commands(line: Option<&Line>, number: &str) -> Vec<String> {
    let Some(Line { seconds, text }) = line else {
        return ["set-option", "-g", "status", "off"].map(str::to_owned).to_vec();
    };
    // A number sign that is doubled is read when the time has come, and not at once.
    let end = format!("if-shell -F '##{{==:##{{@boxwood-notice-number}},{number}}}' 'set-option -g status off'");
    let seconds = seconds.to_string();
    let steps: [&[&str]; 6] = [
        &["set-option", "-g", "@boxwood-notice", text],
        &["set-option", "-g", "@boxwood-notice-number", number],
        &["set-option", "-g", "status-style", "bg=yellow,fg=black"],
        &["set-option", "-g", "status-format[0]", "#[align=left] #{@boxwood-notice}"],
        &["set-option", "-g", "status", "on"],
        &["run-shell", "-b", "-d", &seconds, "-C", &end],
    ];
    steps.join(&";").into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_notice_has_a_time_and_a_text() {
        let check = |args: &[&str], expected: Option<(u32, &str)>| {
            let expected = expected.map(|(seconds, text)| Line { seconds, text: text.to_owned() });
            assert_eq!(parse(&words(args)).expect("understood"), expected);
        };
        check(&[], None);
        check(&["60", "a.example:443 waits"], Some((60, "a.example:443 waits")));
        check(&["1", "#(reboot); 'x'\n#[bg=red]"], Some((1, "?(reboot)? 'x'??[bg=red]")));
        for wrong in [&["60"][..], &["0", "x"], &["3601", "x"], &["soon", "x"], &["1", "x", "y"]] {
            assert!(matches!(parse(&words(wrong)), Err(Error::Usage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_line_ends_by_itself_and_no_other() {
        let line = Line { seconds: 60, text: "a waits".to_owned() };
        let commands = commands(Some(&line), "7");
        assert!(commands.windows(2).any(|two| two == ["@boxwood-notice", "a waits"]), "{commands:?}");
        let end = "if-shell -F '##{==:##{@boxwood-notice-number},7}' 'set-option -g status off'";
        assert_eq!(commands[commands.len() - 6..], ["run-shell", "-b", "-d", "60", "-C", end]);
        assert_eq!(super::commands(None, "8"), ["set-option", "-g", "status", "off"]);
    }
}
