//! The policy's file and the user it is for.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use boxwood_core::egress::{Decided, EgressLayers};
use boxwood_protocol::egress::{EgressAction, EgressConfig};
use boxwood_protocol::gateway::Configure;
use rustix::fs::StatVfsMountFlags;

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
    Ok(Configure { hosts: layers.hosts(), ..Configure::new(revision, policy) })
}

/// The user for whom this is done.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    uid: u32,
    groups: Vec<u32>,
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
        Some(uid) => Ok(in_groups(uid, text, entry.as_deref(), group)),
    }
}

/// Refuses a policy that the user could write.
///
/// # Errors
/// In plain words, when that is so.
pub fn belongs_to_another(file: &Path, user: &User) -> Result<(), String> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for path in [file, directory] {
        // One that is not there yet cannot be read either, which says so by itself.
        let Ok(about) = fs::metadata(path) else { continue };
        let is_fixed = rustix::fs::statvfs(path).is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY));
        if !is_fixed && user.writes(about.uid(), about.gid(), about.mode()) {
            let path = path.display();
            return Err(format!("the user can change {path}; give it to root, or mount it read-only"));
        }
    }
    Ok(())
}

impl User {
    /// Whether this user writes what belongs to these, or can come to.
    fn writes(&self, uid: u32, gid: u32, mode: u32) -> bool {
        uid == self.uid || mode & 0o002 != 0 || (mode & 0o020 != 0 && self.groups.contains(&gid))
    }
}

fn in_groups(uid: u32, text: &str, entry: Option<&[&str]>, group: &str) -> User {
    let name = entry.map_or(text, |fields| fields[0]);
    let mut user = User { uid, groups: Vec::new(), warnings: Vec::new() };
    // A user without an entry is started in the group of the same number at most.
    user.groups.push(entry.and_then(|fields| fields[3].parse().ok()).unwrap_or(uid));
    for line in group.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [group, _, number, members] = fields[..] else { continue };
        let is_member = members.split(',').any(|member| member == name) || entry.is_some_and(|e| e[3] == number);
        if is_member {
            user.groups.extend(number.parse::<u32>());
        }
        if is_member && POWERFUL.contains(&group) {
            let warning =
                format!("{name} is in the group {group}: where that makes root of it, the rules do not hold it");
            user.warnings.push(warning);
        }
    }
    user
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
    fn a_policy_that_its_user_can_change_is_none() {
        let user = find("dev", PASSWD, GROUP).expect("taken");
        for (uid, gid, mode, writes) in [
            (0, 0, 0o644, false),
            (0, 0, 0o664, false),
            (0, 0, 0o646, true),
            (1000, 0, 0o444, true),
            (0, 1000, 0o664, true),
            (0, 27, 0o775, true),
            (0, 27, 0o755, false),
            (0, 99, 0o664, false),
        ] {
            assert_eq!(user.writes(uid, gid, mode), writes, "{uid}:{gid} {mode:o}");
        }
        let file = std::env::temp_dir().join(format!("boxwood-owned-{}", std::process::id()));
        fs::write(&file, "").expect("written");
        let owner = User { uid: fs::metadata(&file).expect("there").uid(), groups: Vec::new(), warnings: Vec::new() };
        assert!(belongs_to_another(&file, &owner).is_err_and(|reason| reason.contains("can change")));
        fs::remove_file(&file).expect("removed");
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
