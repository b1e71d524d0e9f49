//! Gives up every right that the program was started with, for ever, and looks at what the kernel says is left.

use std::io;

use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// User and group from then on: nobody's, and not the one that other programs share.
pub const ID: u32 = 65_532;

/// Becomes user and group [`ID`] without a single capability, now and for anything that is ever executed.
///
/// Rights belong to threads, so this comes before the first other one is made.
///
/// # Errors
/// When a step fails, or when the kernel says afterwards that something is left. The program must then not serve anybody.
pub fn drop_all() -> io::Result<()> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the last one that this kernel has.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let (uid, gid) = (Uid::from_raw(ID), Gid::from_raw(ID));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    rustix::thread::set_no_new_privs(true)?;
    hide_memory()?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    match left(&status) {
        None => Ok(()),
        Some(line) => Err(io::Error::other(format!("the kernel still says '{line}'"))),
    }
}

/// Keeps memory, which may have credentials in it, from other processes and out of core dumps. To become another user has
/// done so already on most systems; a setting of the kernel can say otherwise.
fn hide_memory() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    match rustix::process::dumpable_behavior()? {
        DumpableBehavior::NotDumpable => Ok(()),
        other => Err(io::Error::other(format!("the kernel still says '{other:?}' of core dumps"))),
    }
}

/// The first line of a process's status that is not as it is without any right; a line that is missing counts.
fn left(status: &str) -> Option<String> {
    let ids = vec![ID.to_string(); 4].join("\t");
    let zero = "0".repeat(16);
    let expected = [
        ("Uid", ids.as_str()),
        ("Gid", ids.as_str()),
        ("Groups", ""),
        ("Threads", "1"),
        ("CapInh", zero.as_str()),
        ("CapPrm", zero.as_str()),
        ("CapEff", zero.as_str()),
        ("CapBnd", zero.as_str()),
        ("CapAmb", zero.as_str()),
        ("NoNewPrivs", "1"),
    ];
    expected.iter().find_map(|(key, value)| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim));
        (line != Some(value)).then(|| format!("{key}: {}", line.unwrap_or("nothing")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "Name:\tboxwood-gateway\nUid:\t65532\t65532\t65532\t65532\nGid:\t65532\t65532\t65532\t65532\nGroups:\t \n\
        Threads:\t1\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    #[test]
    fn memory_is_nobody_s_business() {
        hide_memory().expect("hidden");
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    }

    #[test]
    fn a_status_without_rights_is_clean() {
        assert_eq!(left(CLEAN), None);
    }

    #[test]
    fn whatever_is_left_is_named() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(CLEAN.contains(from), "{from}");
            assert_eq!(left(&CLEAN.replacen(from, to, 1)).as_deref(), Some(expected));
        };
        check("CapBnd:\t0000000000000000", "CapBnd:\t0000000000001000", "CapBnd: 0000000000001000");
        check("Groups:\t ", "Groups:\t0 ", "Groups: 0");
        check("Uid:\t65532\t65532\t65532", "Uid:\t65532\t0\t65532", "Uid: 65532\t0\t65532\t65532");
        check("NoNewPrivs:\t1", "NoNewPrivs:\t0", "NoNewPrivs: 0");
        check("Threads:\t1", "Threads:\t2", "Threads: 2");
        check("CapAmb:\t0000000000000000\n", "", "CapAmb: nothing");
    }
}
