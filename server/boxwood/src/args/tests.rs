//! The command line against its reference, and what it takes and refuses.

use boxwood_protocol::ErrorCode;
use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;

const REFERENCE: &str = include_str!("../../../../docs/cli.md");

fn parse(line: &str) -> Result<Verb, ErrorKind> {
    let words = std::iter::once("boxwood").chain(line.split_whitespace());
    Arguments::try_parse_from(words).map(|arguments| arguments.verb).map_err(|error| error.kind())
}

#[test]
fn the_declaration_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_verb_is_in_the_reference() {
    for verb in Arguments::command().get_subcommands() {
        let name = verb.get_name();
        if verb.get_subcommands().next().is_none() || name == "daemon" {
            assert!(REFERENCE.contains(&format!("| `{name}")) || name == "daemon", "{name}");
        }
        for below in verb.get_subcommands() {
            assert!(REFERENCE.contains(&format!("| `{name} {}", below.get_name())), "{name} {}", below.get_name());
        }
    }
}

#[test]
fn every_code_is_in_the_reference_with_its_status() {
    for code in ErrorCode::ALL.iter().filter(|code| **code != ErrorCode::Cancelled) {
        let row =
            REFERENCE.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{}`", code.as_str())));
        let row = row.unwrap_or_else(|| panic!("{} is missing", code.as_str()));
        assert!(row.starts_with(&format!("| {} |", code.exit_code())), "{row}");
    }
}

#[test]
fn what_follows_two_dashes_is_never_a_flag_of_ours() {
    let Ok(Verb::Run(run)) = parse("run --memory 1g -- ls --json -v") else { panic!("run") };
    assert_eq!((run.command, run.settings.memory.as_deref()), (words("ls --json -v"), Some("1g")));
    let Ok(Verb::Exec(exec)) = parse("exec shop -- sh -c x") else { panic!("exec") };
    assert_eq!((exec.command, exec.target.sandbox.as_deref()), (words("sh -c x"), Some("shop")));
    let Ok(Verb::Start(start)) = parse("start /p -d -- --model opus") else { panic!("start") };
    assert_eq!((start.claude_args, start.directory), (words("--model opus"), Some("/p".into())));
}

#[test]
fn every_line_of_a_verb_is_taken_with_the_shared_flags() {
    let lines = [
        "egress policy --presets",
        "egress log shop -f -b -n 5",
        "egress test github.com:22 shop --method GET --path /x",
        "egress allow *.example.com shop --for-session",
        "egress deny a.example --once",
        "egress forget * shop",
        "egress ask -f",
        "egress bypass 10m",
        "egress bypass off shop",
        "credentials status --sandbox shop",
        "credentials status --new",
        "credentials set api-key --base-url https://api.example/v1",
        "credentials set setup-token",
        "credentials sign-out storedKey",
        "credentials sign-out",
        "credentials mode token --source hostLogin --sandbox shop --yes",
        "credentials mode brokered --new",
        "credentials resolve --keep sandbox",
        "start --network gateway --allow a.example --allow b.example:22 --deny c.example --preset npm",
    ];
    for line in lines {
        let shared = format!("{line} --json --session other --project /p");
        assert!(parse(&shared).is_ok(), "{shared}");
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |line: &str, expected: ErrorKind| assert_eq!(parse(line).err(), Some(expected), "{line}");
    check("exec ls", ErrorKind::MissingRequiredArgument);
    check("run", ErrorKind::MissingRequiredArgument);
    check("start /a --project /b", ErrorKind::ArgumentConflict);
    check("start --image a --dockerfile b", ErrorKind::ArgumentConflict);
    check("start --variant slim --image a", ErrorKind::ArgumentConflict);
    check("start --variant huge", ErrorKind::ValueValidation);
    check("start --network half", ErrorKind::ValueValidation);
    check("logs -n 10001", ErrorKind::ValueValidation);
    check("egress allow a.example --for-session --once", ErrorKind::ArgumentConflict);
    check("egress bypass 2h", ErrorKind::ValueValidation);
    check("egress log -n 1001", ErrorKind::ValueValidation);
    check("stats --operations --follow", ErrorKind::ArgumentConflict);
    check("inspect --config shop", ErrorKind::ArgumentConflict);
    check("daemon --ready-fd 7", ErrorKind::ValueValidation);
    check("daemon --ready-fd 1 stop", ErrorKind::ArgumentConflict);
    check("credentials set api-key a-value", ErrorKind::UnknownArgument);
    check("credentials set a-value", ErrorKind::ValueValidation);
    check("credentials set api-key --base-url http://user:word@a", ErrorKind::ValueValidation);
    check("credentials mode half", ErrorKind::ValueValidation);
    check("credentials mode", ErrorKind::MissingRequiredArgument);
    check("credentials mode token --new --sandbox shop", ErrorKind::ArgumentConflict);
    check("credentials sign-out nowhere", ErrorKind::ValueValidation);
    check("credentials resolve", ErrorKind::MissingRequiredArgument);
    check("nonsense", ErrorKind::InvalidSubcommand);
}

#[test]
fn shared_flags_stand_before_or_after_the_verb() {
    for line in ["--json --project /p list", "list --json --project /p"] {
        let words = std::iter::once("boxwood").chain(line.split_whitespace());
        let global = Arguments::try_parse_from(words).expect("understood").global;
        assert_eq!((global.json, global.project), (true, Some("/p".into())));
    }
}

#[test]
fn the_help_names_every_command_in_one_line() {
    let help = Arguments::command().term_width(100).render_help().to_string();
    let commands: Vec<&str> =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty()).collect();
    insta::assert_snapshot!(commands.join("\n"));
}
