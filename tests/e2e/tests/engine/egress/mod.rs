//! The network of a sandbox as people use it: what their tools fetch through the gateway, and a policy that changes while
//! they work.

mod asking;
mod clients;
mod live;

use boxwood_e2e::World;
use boxwood_e2e::internet::{Internet, Machine, gateway_of};
use serde_json::{Value, json};

/// A world whose sandbox runs and can reach an internet of one machine.
struct Connected {
    world: World,
    machine: Machine,
    internet: Internet,
}

impl Connected {
    /// With these settings of egress, and every name of `names` leading to the machine.
    fn new(
        mut world: World,
        machine: impl FnOnce(&Internet) -> Machine,
        names: &[&str],
        mut egress: Value,
        start: &[&str],
    ) -> Self {
        let internet = Internet::new();
        internet.trusted_by(&mut world);
        let machine = machine(&internet);
        for name in names {
            egress["hosts"][*name] = json!(machine.address);
        }
        world.configure(&json!({ "network": "gateway", "egress": egress }));
        let _ = world.start_with(start);
        internet.connect(&gateway_of(&world));
        Self { world, machine, internet }
    }
}

impl Drop for Connected {
    /// A test that failed shows what was decided in it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.world.boxwood(["egress", "log", "--json"]).run();
            eprintln!("{}", log.told("is what was decided"));
        }
    }
}

/// What a machine serves that stands for any: the web, and port 7000 that gives back what it gets.
fn anybody() -> Value {
    json!({ "http": [80, 8080], "https": [443, 8443], "echo": [7000] })
}
