//! The policy's file and the user it is for.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use boxwood_core::egress::{Decided, EgressLayers};
use boxwood_protocol::egress::{EgressAction, EgressConfig};
use boxwood_protocol::gateway::Configure;

use crate::privileges;

/// Most bytes of the file.
const MAX_BYTES: u64 = 256 * 1024;
/// Groups whose members become root in many images.
const POWERFUL: [&str; 5] = ["sudo", "wheel", "admin", "docker", "root"];

/// Reads the policy. Nobody is there to be asked, so what would be asked is refused at once.
///
/// # Errors
/// In plain words.
pub fn read(file: &Path, revision: u64) -> Result<Configure, String> {
    let fail = |cause: String| format!("{}: {cause}", file.display());
    let mut text = String::new();
    let opened = fs::File::open(file).and_then(|opened| opened.take(MAX_BYTES + 1).read_to_string(&mut text));
    opened.map_err(|cause| fail(cause.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(fail(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let mut config: EgressConfig = serde_json::from_str(&text).map_err(|cause| fail(cause.to_string()))?;
    config.default = config.default.filter(|action| *action != EgressAction::Ask).or(Some(EgressAction::Deny));
    for rule in config.rules.iter_mut().flatten().filter(|rule| rule.action == EgressAction::Ask) {
        rule.action = EgressAction::Deny;
    }
    let layers = EgressLayers { user: config, ..EgressLayers::default() };
    let policy = layers.policy(&Decided::default()).map_err(|cause| fail(cause.to_string()))?;
    Ok(Configure { revision, policy, authority: None, trusted: None, hosts: layers.hosts() })
}

/// The user for whom this is done.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    /// What makes the wall weaker than it could be.
    pub warnings: Vec<String>,
}

/// Finds the user, and refuses one whom the rules could not hold.
///
/// # Errors
/// When there is none, or it is root or the gateway itself.
pub fn user(text: &str) -> Result<User, String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    find(text, &read("/etc/passwd"), &read("/etc/group"))
}

fn find(text: &str, passwd: &str, group: &str) -> Result<User, String> {
    let mut entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|fields| fields.len() > 3);
    let entry = entry.find(|fields| fields[0] == text || fields[2] == text);
    let uid = match &entry {
        Some(fields) => fields[2].parse::<u32>().ok(),
        None => text.parse().ok(),
    };
    match uid {
        None => Err(format!("there is no user '{text}'")),
        Some(0) => Err("the user is root, whom no rule holds; give the container another one".to_owned()),
        Some(privileges::ID) => Err(format!("the user {text} has the gateway's own number")),
        Some(_) => Ok(User { warnings: warnings(text, entry.as_deref(), group) }),
    }
}

fn warnings(text: &str, entry: Option<&[&str]>, group: &str) -> Vec<String> {
    let name = entry.map_or(text, |fields| fields[0]);
    let mut list = Vec::new();
    for line in group.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [group, _, number, members] = fields[..] else { continue };
        let is_member = members.split(',').any(|member| member == name) || entry.is_some_and(|e| e[3] == number);
        if is_member && POWERFUL.contains(&group) {
            list.push(format!("{name} is in the group {group}: where that makes root of it, the rules do not hold it"));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/sh\ngw:x:65532:65532::/:/\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:other,dev\ndev:x:1000:\n";

    #[test]
    fn only_a_user_whom_rules_can_hold_is_taken() {
        for good in ["dev", "1000", "4711"] {
            assert!(find(good, PASSWD, "").is_ok_and(|user| user.warnings.is_empty()), "{good}");
        }
        for bad in ["root", "0", "gw", "65532", "nobody-there", ""] {
            assert!(find(bad, PASSWD, GROUP).is_err(), "{bad}");
        }
        assert_eq!(find("dev", PASSWD, GROUP).expect("taken").warnings.len(), 1);
        assert_eq!(find("1000", PASSWD, GROUP).expect("taken").warnings.len(), 1);
    }

    #[test]
    fn a_policy_never_asks() {
        let file = std::env::temp_dir().join(format!("boxwood-policy-{}", std::process::id()));
        fs::write(
            &file,
            r#"{"allow": ["a.example"], "rules": [{"host": "b.example", "action": "ask"}], "presets": ["npm"]}"#,
        )
        .expect("written");
        let configure = read(&file, 7).expect("read");
        assert_eq!((configure.revision, configure.policy.default), (7, EgressAction::Deny));
        assert!(configure.policy.rules.iter().all(|placed| placed.rule.action != EgressAction::Ask));
        fs::write(&file, r#"{"alow": []}"#).expect("written");
        assert!(read(&file, 8).is_err_and(|reason| reason.contains("alow")));
        fs::remove_file(&file).expect("removed");
        assert!(read(&file, 9).is_err());
    }
}
