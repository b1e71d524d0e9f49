//! What commands do in a container that has no programs.

use std::sync::Arc;

use serde_json::json;

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// Prints and ends, whatever its input.
    Ends {
        /// Standard output.
        stdout: Vec<u8>,
        /// Standard error.
        stderr: Vec<u8>,
        /// Exit status.
        exit_code: i64,
    },
    /// Reads its input to the end, prints and ends.
    Consumes {
        /// Standard output.
        stdout: Vec<u8>,
        /// Standard error.
        stderr: Vec<u8>,
        /// Exit status.
        exit_code: i64,
    },
    /// Greets and gives its input back until it ends; on a terminal also until Ctrl+D.
    Echoes {
        /// Printed first.
        greeting: Vec<u8>,
    },
    /// Runs until the container ends.
    Hangs,
    /// There is no such program.
    Missing,
}

impl Execution {
    /// Ends well with this on standard output.
    #[must_use]
    pub fn prints(stdout: impl Into<Vec<u8>>) -> Self {
        Self::Ends { stdout: stdout.into(), stderr: Vec::new(), exit_code: 0 }
    }

    /// Ends with this status and on standard error this.
    #[must_use]
    pub fn fails(exit_code: i64, stderr: impl Into<Vec<u8>>) -> Self {
        Self::Ends { stdout: Vec::new(), stderr: stderr.into(), exit_code }
    }
}

impl<O: Into<Vec<u8>>, E: Into<Vec<u8>>> From<(O, E, i64)> for Execution {
    fn from((stdout, stderr, exit_code): (O, E, i64)) -> Self {
        Self::Ends { stdout: stdout.into(), stderr: stderr.into(), exit_code }
    }
}

type Script = Arc<dyn Fn(&[String]) -> Option<Execution> + Send + Sync>;
type Answers = Arc<dyn Fn(&[String], &str) -> Option<Vec<String>> + Send + Sync>;

/// Scripts that tests gave, and the commands that are always there.
#[derive(Default, Clone)]
pub(super) struct Scripts {
    given: Vec<Script>,
    answers: Vec<Answers>,
}

impl Scripts {
    pub(super) fn add(&mut self, script: impl Fn(&[String]) -> Option<Execution> + Send + Sync + 'static) {
        self.given.push(Arc::new(script));
    }

    pub(super) fn add_answers(
        &mut self,
        answers: impl Fn(&[String], &str) -> Option<Vec<String>> + Send + Sync + 'static,
    ) {
        self.answers.push(Arc::new(answers));
    }

    /// What a main process prints when it reads a line: the newest script that knows it decides.
    pub(super) fn answer(&self, command: &[String], line: &str) -> Vec<String> {
        let given = self.answers.iter().rev().find_map(|answers| answers(command, line));
        given.unwrap_or_else(|| gateway(command, line).into_iter().collect())
    }

    /// What a command does: the newest script that knows it decides.
    pub(super) fn run(&self, command: &[String]) -> Execution {
        self.given.iter().rev().find_map(|script| script(command)).unwrap_or_else(|| self.built_in(command))
    }

    /// What a main process does. One that is not known keeps running, for most are meant to.
    pub(super) fn run_main(&self, command: &[String]) -> Execution {
        match self.run(command) {
            Execution::Missing | Execution::Echoes { .. } => Execution::Hangs,
            Execution::Consumes { stdout, stderr, exit_code } => Execution::Ends { stdout, stderr, exit_code },
            known => known,
        }
    }

    fn built_in(&self, command: &[String]) -> Execution {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let Some((program, arguments)) = words.split_first() else { return Execution::Missing };
        let program = program.rsplit('/').next().unwrap_or(program);
        match (program, arguments) {
            ("true", _) => Execution::prints(""),
            ("false", _) => Execution::fails(1, ""),
            ("echo", words) => Execution::prints(format!("{}\n", words.join(" "))),
            ("cat", []) => Execution::Echoes { greeting: Vec::new() },
            ("sleep", _) => Execution::Hangs,
            ("boxwood-helper", arguments) => self.helper(arguments),
            _ => Execution::Missing,
        }
    }

    fn helper(&self, arguments: &[&str]) -> Execution {
        match arguments {
            ["keep", ..] => Execution::Hangs,
            ["attach", ..] => Execution::Echoes { greeting: b"claude\r\n".to_vec() },
            ["exec", "--", command @ ..] => {
                self.run(&command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
            }
            ["health" | "image-healthcheck", ..] => Execution::prints(format!("{}\n", healthy())),
            ["reach", ..] => Execution::prints("{\"closed\":true,\"open\":true,\"checks\":[]}\n"),
            ["seal", ..] => Execution::prints("sealed 3 files\n"),
            ["verify", ..] => Execution::prints("verified 3 files\n"),
            ["--version", ..] => Execution::prints("boxwood-helper 0.0.0\n"),
            _ => Execution::fails(2, "boxwood-helper: unknown command\n"),
        }
    }
}

/// A gateway does what it is asked, and says which policy it has.
fn gateway(command: &[String], line: &str) -> Option<String> {
    command.first().filter(|program| program.ends_with("boxwood-gateway"))?;
    let asked: serde_json::Value = serde_json::from_str(line).ok()?;
    let revision = asked["params"]["revision"].as_u64().unwrap_or_default();
    let status = json!({ "version": "0.0.0", "run": 1, "revision": revision, "open": 0, "allowed": 0, "blocked": 0,
                         "hits": [], "asks": [], "recent": [] });
    Some(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": status }).to_string())
}

fn healthy() -> serde_json::Value {
    let check = |name: &str, detail: &str| json!({ "name": name, "ok": true, "detail": detail });
    json!({ "healthy": true, "checks": [
        check("workspace-mounted", "mounted"),
        check("workspace-writable", "writable"),
        { "name": "workspace-disk", "ok": true, "detail": "4096 MiB free", "freeBytes": 4_294_967_296_u64 },
        check("home-writable", "writable"),
        check("claude", "0.0.0 (Claude Code)"),
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scripts: &Scripts, command: &str) -> Execution {
        scripts.run(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_newest_script_that_knows_a_command_decides() {
        let mut scripts = Scripts::default();
        assert_eq!(run(&scripts, "claude --version"), Execution::Missing);
        scripts.add(|command| (command[0] == "claude").then(|| Execution::prints("1")));
        scripts.add(|command| (command == ["claude", "-p"]).then(|| ("", "no", 3).into()));
        assert_eq!(run(&scripts, "claude --version"), Execution::prints("1"));
        assert_eq!(run(&scripts, "claude -p"), Execution::fails(3, "no"));
        assert_eq!(run(&scripts, "/opt/boxwood/bin/boxwood-helper exec -- claude -p"), Execution::fails(3, "no"));
    }

    #[test]
    fn an_unknown_main_process_keeps_running() {
        assert_eq!(Scripts::default().run_main(&["anything".to_owned()]), Execution::Hangs);
    }
}
