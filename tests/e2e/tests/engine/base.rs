//! A machine that has no base image, and whose engine can fetch one or cannot.
//!
//! The machine's own images stay as they are: the engine hears other names, under which it has nothing, and which lead to
//! a registry of the test's own or to none.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use boxwood_e2e::gate::{Gate, Moment};
use boxwood_e2e::registry::Registry;
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
        Self::with_images_of(None)
    }

    /// One whose base image would come from this registry.
    fn with_images_of(registry: Option<&Registry>) -> Self {
        let mut world = World::new();
        let gate = Gate::before(&mut world);
        let name = world.root().file_name().expect("it has a name").to_string_lossy().to_lowercase();
        let repository = match registry {
            Some(registry) => format!("{}/{name}-base", registry.host),
            None => format!("{name}-base"),
        };
        gate.rename("debian", &repository);
        gate.rename("boxwood-agent", &format!("{name}-agent"));
        let cache = world.root().join("cache");
        world.set("BOXWOOD_CACHE_DIR", cache);
        let base = BASE.replace("debian", &repository);
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
fn a_base_image_comes_from_the_registry_that_has_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = Registry::start(directory.path());
    let bare = Bare::with_images_of(Some(&registry));
    // Small, and nothing that Debian's packages would give.
    fs::write(directory.path().join("from-the-registry"), "").expect("written");
    let tar = directory.path().join("root.tar");
    let mut pack = std::process::Command::new("tar");
    let packed = pack.arg("-C").arg(directory.path()).arg("-cf").arg(&tar).arg("from-the-registry").status();
    assert!(packed.expect("there is a tar").success());
    let label = format!("LABEL dev.boxwood.test={}", bare.base);
    let _ =
        docker::docker(["import".as_ref(), "--change".as_ref(), label.as_ref(), tar.as_os_str(), bare.base.as_ref()]);
    let published = id_of(&bare.base);
    let _ = docker::docker(["push", "--quiet", &bare.base]);
    let _ = docker::docker(["image", "rm", &bare.base]);
    assert!(docker::try_docker(&["image", "inspect", &published]).is_err(), "only the registry has it");

    bare.gate.hold("POST", "/build", Moment::Before);
    let call = bare.world.boxwood(["image", "build", "slim", "--verbose"]).spawn();
    bare.gate.wait_held();
    assert_eq!(id_of(&bare.base), published);
    assert!(bare.is_tidy());
    bare.gate.close();
    let said = call.wait();
    assert!(said.err().contains(&format!("pulling {BASE}")), "{}", said.told("does not say where it comes from"));
    assert!(!said.err().contains("Debian's packages"), "{}", said.told("makes what it has"));
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
