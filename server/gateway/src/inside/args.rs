//! The command line of `inside`.

use std::path::PathBuf;

/// How it is called.
pub const USAGE: &str = "\
usage: boxwood-gateway inside --user USER --policy FILE [--status FILE] [--when-refused NUMBER]

  --user          name or number of the user for whom this is done
  --policy        JSON with what may be reached: the settings that 'egress' has elsewhere
  --status        where it says how it is; /run/boxwood/inside.json when left out
  --when-refused  exit status when the kernel refuses the rules; 0 when left out";

/// Where it says how it is.
const STATUS: &str = "/run/boxwood/inside.json";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Name or number.
    pub user: String,
    /// The policy's file.
    pub policy: PathBuf,
    /// The status file.
    pub status: PathBuf,
    /// Exit status when the kernel refuses.
    pub when_refused: u8,
}

/// Reads the arguments after `inside`.
///
/// # Errors
/// In plain words, when they cannot be understood.
pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Inside, String> {
    let mut arguments = arguments.into_iter();
    let (mut user, mut policy) = (None, None);
    let (mut status, mut when_refused) = (PathBuf::from(STATUS), 0);
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().filter(|text| !text.is_empty()).ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--user" => user = Some(value()?),
            "--policy" => policy = Some(value()?.into()),
            "--status" => status = value()?.into(),
            "--when-refused" => {
                when_refused =
                    value()?.parse().map_err(|_| "--when-refused needs a number from 0 to 255".to_owned())?;
            }
            _ => return Err(format!("'{option}' is not an option of 'inside'")),
        }
    }
    let user = user.ok_or("--user is missing")?;
    let policy = policy.ok_or("--policy is missing")?;
    Ok(Inside { user, policy, status, when_refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Inside, String> {
        read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_user_and_a_policy_are_needed() {
        let inside = of("--user dev --policy /p --when-refused 3").expect("understood");
        assert_eq!((inside.user.as_str(), inside.when_refused), ("dev", 3));
        assert_eq!(inside.status, PathBuf::from(STATUS));
        for line in ["", "--user dev", "--policy /p", "--user", "--user a --policy b --when-refused x", "--open"] {
            assert!(of(line).is_err(), "{line}");
        }
    }
}
