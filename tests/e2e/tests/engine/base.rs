//! A machine that has no base image, and whose engine cannot fetch one.
//!
//! The machine's own images stay as they are: the engine hears other names, under which it has nothing and no registry
//! gives it anything.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use boxwood_e2e::gate::{Gate, Moment};
use boxwood_e2e::{World, docker};
use boxwood_protocol::ErrorCode;

const BASE: &str = "debian:bookworm-slim";

struct Bare {
    world: World,
    gate: Gate,
    /// Name that the engine hears instead of the base image's.
    base: String,
}

impl Bare {
    fn new() -> Self {
        let mut world = World::new();
        let gate = Gate::before(&mut world);
        let name = world.root().file_name().expect("it has a name").to_string_lossy().to_lowercase();
        gate.rename("debian", &format!("{name}-base"));
        gate.rename("boxwood-agent", &format!("{name}-agent"));
        let cache = world.root().join("cache");
        world.set("BOXWOOD_CACHE_DIR", cache);
        let base = BASE.replace("debian", &format!("{name}-base"));
        let to_remove = base.clone();
        world.at_end(move || drop(docker::try_docker(&["image", "rm", "--force", &to_remove])));
        Self { world, gate, base }
    }

    fn is_root(&self) -> bool {
        fs::metadata(self.world.project()).expect("there").uid() == 0
    }

    fn has_base(&self) -> bool {
        docker::try_docker(&["image", "inspect", &self.base]).is_ok()
    }

    /// Nothing of a root file system that was being made is left.
    fn is_tidy(&self) -> bool {
        let cache = fs::read_dir(self.world.root().join("cache")).into_iter().flatten().flatten();
        cache.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("rootfs-"))
    }
}

fn id_of(image: &str) -> String {
    docker::docker(["image", "inspect", "--format", "{{.Id}}", image])
}

#[test]
fn a_base_image_that_cannot_be_fetched_is_made_from_packages_by_root_alone() {
    let bare = Bare::new();
    let before = id_of(BASE);
    // Its first use is where this ends: what is built upon it is another test's business.
    bare.gate.hold("POST", "/build", Moment::Before);
    let call = bare.world.boxwood(["image", "build", "slim", "--json"]).spawn();
    if !bare.is_root() {
        let error = call.wait().refused(ErrorCode::ImageFailed);
        assert!(error.causes.iter().any(|cause| cause.contains("only root can run debootstrap")), "{error:?}");
        assert!(error.causes.iter().any(|cause| cause.contains("failed to pull")), "{error:?}");
        assert!(error.hint.is_some_and(|hint| hint.contains(BASE)));
        assert!(!bare.has_base());
        return;
    }
    bare.gate.wait_held();
    let look = ". /etc/os-release; echo $VERSION_CODENAME; stat -c '%u:%g %a' /etc/shadow /tmp; \
                apt-get --version >/dev/null && echo apt; dpkg --audit; \
                cat /etc/dpkg/dpkg.cfg.d/unsafe-io; \
                ls /var/cache/apt/archives/*.deb /var/lib/apt/lists/*_* 2>/dev/null; true";
    let found = docker::docker(["run", "--rm", "--network", "none", &bare.base, "sh", "-c", look]);
    assert_eq!(
        found, "bookworm\n0:42 640\n0:0 1777\napt\nforce-unsafe-io",
        "a whole Debian without what was downloaded for it"
    );
    assert!(bare.is_tidy());
    bare.gate.close();
    let _ = call.wait().error();
    assert_eq!(id_of(BASE), before, "the machine's own is untouched");
}

#[test]
fn a_base_image_that_cannot_be_made_either_is_said_with_both_reasons() {
    let mut bare = Bare::new();
    let programs = bare.world.root().join("programs");
    fs::create_dir(&programs).expect("made");
    let debootstrap = programs.join("debootstrap");
    fs::write(&debootstrap, "#!/bin/sh\nmkdir \"$3/half\"; echo 'E: Failed getting release file'; exit 1\n")
        .expect("written");
    fs::set_permissions(&debootstrap, fs::Permissions::from_mode(0o755)).expect("changed");
    let path = std::env::var("PATH").unwrap_or_default();
    bare.world.set("PATH", format!("{}:{path}", programs.display()));
    let error = bare.world.boxwood(["image", "build", "slim", "--json"]).run().refused(ErrorCode::ImageFailed);
    let reason = if bare.is_root() { "E: Failed getting release file" } else { "only root can run debootstrap" };
    for wanted in [reason, "failed to pull"] {
        assert!(error.causes.iter().any(|cause| cause.contains(wanted)), "{wanted}: {error:?}");
    }
    assert!(error.hint.is_some_and(|hint| hint.contains(BASE)));
    assert!(!bare.has_base() && bare.is_tidy(), "nothing is left of the attempt");
}
