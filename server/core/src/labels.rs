//! Labels by which the product knows its own objects on an engine.

/// On every object; its value is the owner: the host's user number, so that users of one engine keep apart.
pub const OWNER: &str = "dev.boxwood.owner";
/// Id of the sandbox.
pub const SANDBOX: &str = "dev.boxwood.sandbox";
/// Canonical path of the project.
pub const PROJECT: &str = "dev.boxwood.project";
/// Session of the project.
pub const SESSION: &str = "dev.boxwood.session";
/// Hash of the configuration that the container was made with.
pub const CONFIG: &str = "dev.boxwood.config";
/// Version of the product that made the object.
pub const VERSION: &str = "dev.boxwood.version";
/// Trace id of the operation that made the object.
pub const TRACE: &str = "dev.boxwood.trace";
/// `persistent` or `ephemeral`.
pub const LIFETIME: &str = "dev.boxwood.lifetime";
/// Version of Claude Code inside.
pub const CLAUDE: &str = "dev.boxwood.claude";
/// What an object is for: `sandbox`, `gateway`, `network`, `egress-network`, `runtime`, `image`, `project-image`, `gateway-image`, `probe`, `login`.
pub const ROLE: &str = "dev.boxwood.role";
/// Variant of an agent image.
pub const VARIANT: &str = "dev.boxwood.variant";
/// Hash of what an image was built from, or a volume filled with.
pub const CONTENT: &str = "dev.boxwood.content";
/// Further arguments for Claude Code, a JSON array.
pub const CLAUDE_ARGS: &str = "dev.boxwood.claude-args";
/// Directory inside at which the project appears.
pub const WORKSPACE: &str = "dev.boxwood.workspace";
/// Id of the state directory's installation: two daemons with different state never touch each other's objects.
pub const INSTALLATION: &str = "dev.boxwood.installation";
/// Reference of the image as the person knows it.
pub const IMAGE: &str = "dev.boxwood.image";

/// What network a sandbox was made with: `gateway`, `open` or `none`.
pub const NETWORK: &str = "dev.boxwood.network";
/// Addresses of the network that a sandbox with a gateway was made for, for example `198.18.4.0/22`.
pub const SUBNET: &str = "dev.boxwood.subnet";

/// What of this machine beside the project a sandbox can read, a JSON array of objects with `target` and `source`; absent when there is nothing.
pub const READ_ONLY_MOUNTS: &str = "dev.boxwood.read-only-mounts";

/// A filter for objects with `value` under `key`.
#[must_use]
pub fn equals(key: &str, value: &str) -> String {
    format!("{key}={value}")
}
