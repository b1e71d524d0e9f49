//! A keyring of a world's own: the real Secret Service, gnome-keyring, on a message bus that ends with this.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::World;
use crate::cli::signal;
use crate::wait::until;

/// Its name on the bus.
const NAME: &str = "org.freedesktop.secrets";
/// The collection that its password opens.
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";

/// The keyring.
pub struct Keyring {
    bus: Child,
    address: String,
    _home: TempDir,
}

impl Keyring {
    /// Starts the bus. It starts only what stands in a directory of its own, with the first question: the keyring, opened.
    ///
    /// # Panics
    /// When the programs are not there; 'tests/testbed/tools test' installs them.
    #[must_use]
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("boxwood-test-").tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name).display().to_string();
        let put = |name: &str, text: String| fs::write(home.path().join(name), text).expect("written");
        fs::create_dir(at("services")).expect("made");
        put("password", "password".to_owned());
        put(
            "start",
            format!(
                "exec gnome-keyring-daemon --foreground --unlock --components=secrets <{} >{} 2>&1\n",
                at("password"),
                at("log")
            ),
        );
        let start = format!("[D-BUS Service]\nName={NAME}\nExec=/bin/sh {}\n", at("start"));
        put(&format!("services/{NAME}.service"), start);
        put(
            "bus.conf",
            format!(
                r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir={}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
                home.path().display(),
                at("services")
            ),
        );
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--print-address", "--config-file", &at("bus.conf")]);
        // Nobody is there who could be shown a dialog.
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL", "DBUS_SESSION_BUS_ADDRESS"] {
            command.env_remove(name);
        }
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home.path());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut bus = command.spawn().expect("'tests/testbed/tools test' installs it");
        let mut address = String::new();
        let said = bus.stdout.take().expect("it is kept");
        BufReader::new(said).read_line(&mut address).expect("it says where it is");
        Self { bus, address: address.trim().to_owned(), _home: home }
    }

    /// Has a world keep credentials there.
    pub fn serve(&self, world: &mut World) {
        world.set("BOXWOOD_KEYRING", "system");
        world.set("DBUS_SESSION_BUS_ADDRESS", &self.address);
    }

    /// Asks somebody on the bus, and gives the answer's last line.
    fn ask(&self, whom: &str, words: &[&str]) -> String {
        let mut command = Command::new("dbus-send");
        command.args(["--session", "--print-reply", &format!("--dest={whom}")]).args(words);
        let output = command.env("DBUS_SESSION_BUS_ADDRESS", &self.address).output().expect("dbus-send");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines().last().unwrap_or_default().trim().to_owned()
    }

    /// Locks it, as a person does who leaves.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn lock(&self) {
        let call = ["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock"];
        let _ = self.ask(NAME, &[call[0], call[1], &format!("array:objpath:{COLLECTION}")]);
    }

    /// Opens it, as a person does who comes back and signs in: there is another one, and it is given the password. It is open
    /// when this returns.
    ///
    /// # Panics
    /// When the one before does not end, or the other one is not open.
    pub fn unlock(&self) {
        let of_bus = |what: &str, name: &str| {
            let call = format!("org.freedesktop.DBus.{what}");
            self.ask("org.freedesktop.DBus", &["/org/freedesktop/DBus", &call, &format!("string:{name}")])
        };
        // A connection's own name is never given again; the keyring's may have another owner before anybody looks.
        let owner = of_bus("GetNameOwner", NAME);
        let owner = owner.split('"').nth(1).expect("it runs");
        let id = of_bus("GetConnectionUnixProcessID", owner);
        signal(id.rsplit(' ').next().and_then(|id| id.parse().ok()).expect("it runs"), "TERM");
        until("the end of the locked keyring", || of_bus("NameHasOwner", owner).ends_with("false").then_some(()));
        let get = [COLLECTION, "org.freedesktop.DBus.Properties.Get"];
        let is_locked = ["string:org.freedesktop.Secret.Collection", "string:Locked"];
        let is_locked = self.ask(NAME, &[get, is_locked].concat());
        assert!(is_locked.ends_with("boolean false"), "{is_locked}");
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        // The keyring ends with its bus.
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}
