//! What a person or a script sees: results on standard output, everything else on standard error.

pub(crate) mod errors;
pub(crate) mod progress;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod units;

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use boxwood_protocol::{ErrorCode, RpcError};
use serde::Serialize;

use crate::args::{ColorChoice, GlobalArguments};
use crate::settings::Environment;

pub(crate) use style::{Paint, Style};

/// How this process may show things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Results are JSON.
    pub(crate) json: bool,
    /// Somebody sits there who can be asked: both ends are a terminal and nothing says that this is automation.
    pub(crate) is_interactive: bool,
    /// Standard output is a terminal.
    pub(crate) is_output_terminal: bool,
    /// Standard error is a terminal.
    pub(crate) is_error_terminal: bool,
    /// Nobody looks: `CI` is set, or none of the three streams is a terminal.
    pub(crate) is_unattended: bool,
    /// Progress may be redrawn on standard error.
    pub(crate) is_progress_drawn: bool,
    /// Colour of results.
    pub(crate) output: Paint,
    /// Colour of messages.
    pub(crate) messages: Paint,
    /// How often `-v` was given.
    pub(crate) verbose: u8,
}

impl Screen {
    /// From the flags, the environment and what the standard streams are.
    pub(crate) fn new(global: &GlobalArguments, environment: Environment<'_>) -> Self {
        let is_set = |name: &str| environment(name).is_some_and(|value| !value.is_empty());
        let is_automation = environment("CI").is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        let is_dumb = environment("TERM").is_some_and(|term| term == "dumb");
        let (input, output, errors) =
            (io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal());
        let paint = |is_terminal: bool| {
            Paint::new(match global.color {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => is_terminal && !is_dumb && !is_set("NO_COLOR"),
            })
        };
        Self {
            json: global.json,
            is_interactive: input && output && !is_automation,
            is_output_terminal: output,
            is_error_terminal: errors,
            is_unattended: is_automation || !(input || output || errors),
            is_progress_drawn: errors && !is_automation && !is_dumb && !global.json,
            output: paint(output),
            messages: paint(errors),
            verbose: global.verbose,
        }
    }

    /// Shows a result: the value as JSON, or the words for a person. Empty words show nothing.
    pub(crate) fn show<T: Serialize>(self, value: &T, words: impl FnOnce(Paint) -> String) -> Result<(), RpcError> {
        if self.json { self.json(value) } else { self.print(&words(self.output)) }
    }

    /// Prints a value as one line of JSON, on a terminal as several.
    pub(crate) fn json<T: Serialize>(self, value: &T) -> Result<(), RpcError> {
        let text = match self.is_output_terminal {
            true => serde_json::to_string_pretty(value),
            false => serde_json::to_string(value),
        };
        self.print(&text.map_err(|error| unwritable(&io::Error::other(error)))?)
    }

    /// Prints a value as one line of JSON among others.
    pub(crate) fn json_line<T: Serialize>(self, value: &T) -> Result<(), RpcError> {
        let text = serde_json::to_string(value).map_err(|error| unwritable(&io::Error::other(error)))?;
        self.print(&text)
    }

    /// Prints lines on standard output, ending the last one.
    pub(crate) fn print(self, text: &str) -> Result<(), RpcError> {
        if text.is_empty() {
            return Ok(());
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let mut stdout = io::stdout().lock();
        match write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
            // A reader that has seen enough is no failure.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritable(&error)),
            _ => Ok(()),
        }
    }

    /// Says something that is not the result.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            self.say(text);
        }
    }

    /// Says something while a command has the terminal, which then ends no line by itself. What stands in the line, a
    /// bar that is being redrawn for example, gives way.
    pub(crate) fn interject(self, text: &str) {
        let clear = if self.is_progress_drawn { "\x1b[K" } else { "" };
        match self.is_error_terminal {
            true => self.note(&format!("\r{text}{clear}\r")),
            false => self.note(text),
        }
    }

    /// Says what the person should know although all went well; with JSON it is part of the result.
    pub(crate) fn warn(self, text: &str) {
        let head = self.messages.paint(Style::Warning, "warning:");
        self.note(&format!("{head} {}", table::one_line(text)));
    }

    /// Shows an error.
    pub(crate) fn error(self, error: &RpcError) {
        if self.json {
            let document = serde_json::json!({ "error": error });
            self.say(&document.to_string());
        } else {
            self.say(&errors::render(error, self.messages));
        }
    }

    /// Asks for an answer on the same line.
    pub(crate) fn prompt(self, text: &str) {
        let mut stderr = io::stderr().lock();
        // As with every message: there is no place left to say that it cannot be seen.
        let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
    }

    fn say(self, text: &str) {
        // Nobody reads standard error: there is no place left to say so.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

fn unwritable(error: &io::Error) -> RpcError {
    RpcError::new(ErrorCode::StateFailed, "the result could not be written to standard output")
        .caused_by(error)
        .hint("check where the output goes")
}
