//! From flags to the settings of a request.

use std::collections::BTreeMap;

use boxwood_protocol::config::{ImageVariant, Lifetime, Network, SandboxConfig, SshAgent};
use boxwood_protocol::egress::EgressConfig;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::args::{SettingArguments, shown};

/// Looks up a variable of the environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the name of an agent image.
pub(crate) fn variant(text: &str) -> Result<ImageVariant, String> {
    let known = ImageVariant::ALL.iter().find(|variant| variant.as_str() == text);
    known.copied().ok_or_else(|| {
        let names: Vec<&str> = ImageVariant::ALL.iter().map(|variant| variant.as_str()).collect();
        format!("choose one of {}", names.join(", "))
    })
}

/// Reads the name of a network mode.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    match text {
        "gateway" => Ok(Network::Gateway),
        "open" => Ok(Network::Open),
        "none" => Ok(Network::None),
        _ => Err("choose gateway, open or none".to_owned()),
    }
}

/// Reads whether the SSH agent may be asked.
pub(crate) fn ssh_agent(text: &str) -> Result<SshAgent, String> {
    match text {
        "on" => Ok(SshAgent::On),
        "off" => Ok(SshAgent::Off),
        _ => Err("choose on or off".to_owned()),
    }
}

/// Reads a time of at most an hour as seconds; `off` is none.
pub(crate) fn time(text: &str) -> Result<u32, String> {
    let invalid = || "write a number with s, m or h, for example 10m, at most an hour; or off".to_owned();
    if text == "off" {
        return Ok(0);
    }
    let (number, unit) = match text.char_indices().next_back().ok_or_else(invalid)? {
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        _ => (text, 1),
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(invalid)?;
    if (1..=3600).contains(&seconds) { Ok(seconds) } else { Err(invalid()) }
}

fn egress(flags: &SettingArguments) -> Option<EgressConfig> {
    let given = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let egress = EgressConfig {
        presets: given(&flags.preset),
        allow: given(&flags.allow),
        deny: given(&flags.deny),
        ..EgressConfig::default()
    };
    (egress != EgressConfig::default()).then_some(egress)
}

/// The settings that the flags ask for; `None` when they ask for nothing.
pub(crate) fn config(
    flags: SettingArguments,
    claude_args: Vec<String>,
    environment: Environment<'_>,
) -> Result<Option<SandboxConfig>, RpcError> {
    let config = SandboxConfig {
        egress: egress(&flags),
        masked_paths: None,
        read_only_mounts: (!flags.read_only_mount.is_empty()).then_some(flags.read_only_mount),
        variant: flags.variant,
        image: flags.image,
        dockerfile: flags.dockerfile,
        lifetime: flags.ephemeral.then_some(Lifetime::Ephemeral),
        memory: flags.memory,
        cpus: flags.cpus,
        pids: flags.pids,
        nofile: flags.nofile,
        network: flags.network,
        workspace_path: None,
        env: variables(&flags.env, environment)?,
        protected_paths: None,
        claude_args: (!claude_args.is_empty()).then_some(claude_args),
        host_login: flags.host_login.then_some(true),
        ssh_agent: flags.ssh_agent,
    };
    Ok((config != SandboxConfig::default()).then_some(config))
}

fn variables(flags: &[String], environment: Environment<'_>) -> Result<Option<BTreeMap<String, String>>, RpcError> {
    let mut variables = BTreeMap::new();
    for flag in flags {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag.as_str(), environment(flag)),
        };
        let Some(value) = value.filter(|_| !name.is_empty()) else {
            let message = format!("--env {} names no variable that is set here", shown(flag));
            return Err(RpcError::new(ErrorCode::InvalidParams, message).hint("write it as --env NAME=VALUE"));
        };
        variables.insert(name.to_owned(), value);
    }
    Ok((!variables.is_empty()).then_some(variables))
}

/// Reads `NAME=VALUE` pairs.
pub(crate) fn pairs(flags: &[String]) -> Result<BTreeMap<String, String>, RpcError> {
    flags
        .iter()
        .map(|flag| {
            let pair = flag.split_once('=').filter(|(name, _)| !name.is_empty());
            pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| {
                RpcError::new(ErrorCode::InvalidParams, format!("'{}' is not of the form NAME=VALUE", shown(flag)))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "EDITOR" => Some("vi".to_owned()),
            "ANTHROPIC_API_KEY" => Some("key".to_owned()),
            "ANTHROPIC_AUTH_TOKEN" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn no_flag_asks_for_nothing() {
        assert_eq!(config(SettingArguments::default(), Vec::new(), &environment), Ok(None));
    }

    #[test]
    fn a_variable_has_a_value_or_takes_the_one_it_has_here() {
        let check = |flag: &str, expected: Option<(&str, &str)>| {
            let got = variables(&[flag.to_owned()], &environment).ok().flatten();
            let expected = expected.map(|(name, value)| BTreeMap::from([(name.to_owned(), value.to_owned())]));
            assert_eq!(got, expected, "{flag}");
        };
        check("A=b=c", Some(("A", "b=c")));
        check("A=", Some(("A", "")));
        check("EDITOR", Some(("EDITOR", "vi")));
        check("UNKNOWN", None);
        check("=b", None);
    }

    #[test]
    fn a_secret_in_the_place_of_a_name_is_not_repeated() {
        let flag = ["sk-ant-api03-canary".to_owned()];
        for refused in [variables(&flag, &environment).err(), pairs(&flag).err()] {
            let said = refused.expect("refused").to_string();
            assert!(!said.contains("canary"), "{said}");
        }
    }

    #[test]
    fn times_are_bounded() {
        let check = |text: &str, expected: Option<u32>| assert_eq!(time(text).ok(), expected, "{text}");
        check("off", Some(0));
        check("90", Some(90));
        check("90s", Some(90));
        check("10m", Some(600));
        check("1h", Some(3600));
        for wrong in ["", "0", "2h", "m", "-1m", "10 m", "99999999999h", "ü"] {
            check(wrong, None);
        }
    }

    #[test]
    fn hosts_of_flags_are_a_layer_of_the_policy() {
        let flags = SettingArguments { allow: vec!["a.example".to_owned()], ..SettingArguments::default() };
        let egress = config(flags, Vec::new(), &environment).expect("valid").and_then(|config| config.egress);
        assert_eq!(egress.and_then(|egress| egress.allow), Some(vec!["a.example".to_owned()]));
    }
}
