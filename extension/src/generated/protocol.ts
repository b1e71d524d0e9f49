// Generated from server/protocol by `make generate`. Do not edit.

/**
 * No parameters, or nothing to say.
 */
export type Empty = Record<string, never>;

/**
 * Who the client is.
 */
export type HelloParams = { 
/**
 * `cli`, `lsp` or another name for the log.
 */
client: string, 
/**
 * Version of the client's program.
 */
version: string, 
/**
 * [`crate::PROTOCOL_VERSION`] of the client.
 */
protocol: number, };

/**
 * Who the daemon is.
 */
export type HelloResult = { 
/**
 * Version of the daemon's program.
 */
version: string, 
/**
 * [`crate::PROTOCOL_VERSION`] of the daemon.
 */
protocol: number, 
/**
 * Process id.
 */
pid: number, 
/**
 * Identifies the program file, so that a rebuilt one of the same version is told apart.
 */
build: string, };

/**
 * The engine as the daemon sees it.
 */
export type EngineStatus = { 
/**
 * Whether it answers.
 */
isAvailable: boolean, 
/**
 * Where it is asked, for example `unix:///var/run/docker.sock`.
 */
endpoint: string, 
/**
 * Where the endpoint was found: `DOCKER_HOST`, `context NAME` or `default`.
 */
source: string, 
/**
 * Version of the engine.
 */
version?: string, 
/**
 * API version that was agreed on.
 */
apiVersion?: string, 
/**
 * Why it does not answer.
 */
problem?: string, };

/**
 * How the daemon is.
 */
export type DaemonStatus = { 
/**
 * Version of the program.
 */
version: string, 
/**
 * Process id.
 */
pid: number, 
/**
 * Seconds since it started.
 */
uptimeSeconds: number, 
/**
 * Resident memory in bytes, where the system tells.
 */
memoryBytes?: number, 
/**
 * Open connections.
 */
clients: number, 
/**
 * Sandboxes that run.
 */
runningSandboxes: number, 
/**
 * Operations that run.
 */
operations: number, 
/**
 * The engine.
 */
engine: EngineStatus, 
/**
 * Directory of the log files.
 */
logDirectory: string, 
/**
 * Directory of the state.
 */
stateDirectory: string, 
/**
 * Path of the socket, or name of the pipe.
 */
socket: string, };

/**
 * Asks the daemon to leave.
 */
export type DaemonStopParams = { 
/**
 * Leave even while operations run; they are cancelled and undone first.
 */
force: boolean, };

/**
 * A project.
 */
export type ProjectParams = { 
/**
 * Path of the project; symbolic links are followed.
 */
project?: string, };

/**
 * What is examined.
 */
export type DoctorParams = { 
/**
 * Path of a project that is looked at too.
 */
project?: string, 
/**
 * Claude Code's variables in the client's environment, from which a sandbox would be started.
 */
environment?: ClientEnvironment, };

/**
 * Which sandboxes are meant.
 */
export type SandboxFilter = { 
/**
 * Only this project's.
 */
project?: string, };

/**
 * Names one sandbox: by id or container name, or by project and session.
 */
export type SandboxRef = { 
/**
 * Id, container name, or an unambiguous beginning of either.
 */
sandbox?: string, 
/**
 * Path of the project, when no id is given.
 */
project?: string, 
/**
 * Session of the project; `default` when left out.
 */
session?: string, };

/**
 * Brings a project's sandbox to life.
 */
export type EnsureParams = { 
/**
 * Path of the project; symbolic links are followed.
 */
project: string, 
/**
 * Name of the session: 1 to 32 of `a-z`, `0-9`, `-`; `default` when left out.
 */
session?: string, 
/**
 * Settings of the editor or the command line.
 */
config?: SandboxConfig, 
/**
 * Claude Code's variables in the client's environment. Left out by a client that does not know them, which leaves a
 * credential from there as it is.
 */
environment?: ClientEnvironment, };

/**
 * How a sandbox came to be there.
 */
export type EnsureAction = "created" | "started" | "attached" | "recreated";

/**
 * The sandbox that is there now.
 */
export type EnsureResult = { 
/**
 * The sandbox.
 */
sandbox: SandboxInfo, 
/**
 * How it came to be there.
 */
action: EnsureAction, 
/**
 * What the person should know although all went well.
 */
warnings: Array<string>, };

/**
 * Removes a sandbox.
 */
export type RemoveParams = { 
/**
 * Id, container name, or an unambiguous beginning of either.
 */
sandbox?: string, 
/**
 * Path of the project, when no id is given.
 */
project?: string, 
/**
 * Session of the project; `default` when left out.
 */
session?: string, 
/**
 * Also delete its home with conversations and login. Not undoable.
 */
purgeState: boolean, };

/**
 * Sandboxes by state.
 */
export type SandboxCount = { 
/**
 * All of them.
 */
total: number, 
/**
 * Per state; a state without any is left out.
 */
byState: Partial<Record<SandboxState, number>>, };

/**
 * Which end of the log is wanted.
 */
export type LogsParams = { 
/**
 * Which sandbox.
 */
target: SandboxRef, 
/**
 * How many lines from the end; 200 when left out, 10000 at most.
 */
tail?: number, };

/**
 * Lines of the main process.
 */
export type LogsResult = { 
/**
 * The lines, oldest first.
 */
lines: Array<string>, };

/**
 * Runs a command.
 */
export type ExecParams = { 
/**
 * Which sandbox.
 */
target: SandboxRef, 
/**
 * Program and arguments; no shell is involved.
 */
command: Array<string>, 
/**
 * Directory inside; the workspace when left out.
 */
workdir?: string, };

/**
 * What a command gave.
 */
export type ExecResult = { 
/**
 * Exit status.
 */
exitCode: number, 
/**
 * Standard output, the last mebibyte, invalid UTF-8 replaced.
 */
stdout: string, 
/**
 * Standard error, the last mebibyte, invalid UTF-8 replaced.
 */
stderr: string, };

/**
 * What a terminal wants to run in a sandbox.
 */
export type AttachParams = { 
/**
 * Which sandbox.
 */
target: SandboxRef, 
/**
 * What is to run; Claude's terminal when left out.
 */
command?: Array<string>, 
/**
 * A shell beside Claude instead.
 */
shell: boolean, 
/**
 * Continue the last conversation when Claude is not running yet.
 */
resumeLast: boolean, };

/**
 * How to reach a process of a sandbox directly on the engine.
 */
export type AttachTarget = { 
/**
 * The sandbox.
 */
sandbox: SandboxInfo, 
/**
 * Endpoint of the engine.
 */
endpoint: string, 
/**
 * API version that was agreed on with the engine.
 */
apiVersion: string, 
/**
 * Id of the container.
 */
containerId: string, 
/**
 * Program and arguments to execute.
 */
command: Array<string>, 
/**
 * `uid:gid` to execute as.
 */
user: string, 
/**
 * Directory to execute in.
 */
workdir: string, };

/**
 * One reading of a sandbox's figures.
 */
export type StatsSample = { 
/**
 * Processor use; 100 is one whole processor.
 */
cpuPercent: number, 
/**
 * Memory in use without the page cache, bytes.
 */
memoryBytes: number, 
/**
 * Memory limit, bytes.
 */
memoryLimitBytes: number, 
/**
 * Processes and threads.
 */
pids: number, 
/**
 * Bytes received since the start.
 */
networkRxBytes: number, 
/**
 * Bytes sent since the start.
 */
networkTxBytes: number, };

/**
 * What may be removed.
 */
export type PruneParams = { 
/**
 * Only say what would be removed.
 */
dryRun: boolean, };

/**
 * What was, or would be, removed.
 */
export type PruneReport = { 
/**
 * True when nothing was touched.
 */
isDryRun: boolean, 
/**
 * Containers, by name: sandboxes, each with its gateway and its network, and leftovers.
 */
containers: Array<string>, 
/**
 * Volumes, by name.
 */
volumes: Array<string>, 
/**
 * Images, by reference.
 */
images: Array<string>, 
/**
 * Networks of sandboxes that were gone before, and the one that gateways have in common when there is none left, by name.
 */
networks?: Array<string>, 
/**
 * Bytes of the images that were, or would be, freed.
 */
reclaimedBytes: number, };

/**
 * Asks for an image.
 */
export type ImageBuildParams = { 
/**
 * Which variant; `slim` when left out.
 */
variant?: ImageVariant, 
/**
 * Build even if an image of the same content exists, without the engine's cache.
 */
noCache: boolean, };

/**
 * An image that the product built.
 */
export type ImageInfo = { 
/**
 * Reference with its tag.
 */
reference: string, 
/**
 * Id as the engine gives it.
 */
id: string, 
/**
 * Variant, for an agent image.
 */
variant?: ImageVariant, 
/**
 * Size on disk, bytes.
 */
sizeBytes: number, 
/**
 * Whether a sandbox uses it or the next would.
 */
isCurrent: boolean, };

/**
 * A devcontainer template on offer.
 */
export type TemplateInfo = { 
/**
 * Id.
 */
id: string, 
/**
 * Name to show.
 */
name: string, 
/**
 * What it is for.
 */
description: string, 
/**
 * Its options.
 */
options: Array<TemplateOption>, };

/**
 * An option of a template.
 */
export type TemplateOption = { 
/**
 * Id.
 */
id: string, 
/**
 * What it does.
 */
description: string, 
/**
 * Value when none is chosen.
 */
default: string, 
/**
 * Values on offer; any when empty.
 */
proposals: Array<string>, };

/**
 * Writes a template into a project.
 */
export type TemplateInsertParams = { 
/**
 * Path of the project.
 */
project: string, 
/**
 * Id of the template.
 */
template: string, 
/**
 * Chosen options.
 */
options?: { [key in string]: string }, 
/**
 * Only say what would be written.
 */
dryRun: boolean, };

/**
 * What was written.
 */
export type TemplateInsertResult = { 
/**
 * Files that were, or would be, written: absolute paths.
 */
written: Array<string>, 
/**
 * Files that already hold exactly this content.
 */
unchanged: Array<string>, 
/**
 * Files that exist with other content and were left alone; the template's version is beside them as `*.boxwood-new`.
 */
kept: Array<string>, 
/**
 * The file to open.
 */
open: string, };

/**
 * What an examination found.
 */
export type CheckStatus = "ok" | "warning" | "failed";

/**
 * One line of an examination.
 */
export type DoctorCheck = { 
/**
 * Stable id, for example `engine`.
 */
id: string, 
/**
 * What was examined.
 */
title: string, 
/**
 * What was found.
 */
status: CheckStatus, 
/**
 * The finding in plain words.
 */
detail: string, 
/**
 * The next step, unless it is in order.
 */
hint?: string, };

/**
 * An examination.
 */
export type DoctorReport = { 
/**
 * The worst of all checks.
 */
status: CheckStatus, 
/**
 * The checks.
 */
checks: Array<DoctorCheck>, };

/**
 * How long a sandbox lives.
 */
export type Lifetime = "persistent" | "ephemeral";

/**
 * The agent images on offer.
 */
export type ImageVariant = "slim" | "full" | "rust" | "python";

/**
 * What the network of a sandbox may do.
 */
export type Network = "gateway" | "open" | "none";

/**
 * Where the project appears inside.
 */
export type WorkspacePath = "same" | "workspaces";

/**
 * Whether a sandbox may ask the host's SSH agent.
 */
export type SshAgent = "off" | "on";

/**
 * One layer of settings; what it leaves out comes from the layer below: editor or flags over project over user over
 * defaults.
 */
export type SandboxConfig = { 
/**
 * Agent image to use when the project brings none: `slim`, `full` (build tools, Python, Node), `rust` or `python`.
 */
variant?: ImageVariant, 
/**
 * Image to run instead of an agent image, for example `node:22` or the project's own. Nothing is built into it.
 */
image?: string, 
/**
 * Dockerfile to build and run instead, relative to the project: for example `.boxwood/Dockerfile`, `.devcontainer/Dockerfile` or `Dockerfile`. `auto` takes the first of these that exists.
 */
dockerfile?: string, 
/**
 * `persistent` sandboxes are stopped and started until removed; `ephemeral` ones are removed when Claude ends.
 */
lifetime?: Lifetime, 
/**
 * Most memory the sandbox may use, for example `8g` or `512m`. There is no swap beyond it.
 */
memory?: string, 
/**
 * Most processors the sandbox may use; fractions are allowed. 0 means all of the machine's.
 */
cpus?: number, 
/**
 * Most processes and threads the sandbox may have.
 */
pids?: number, 
/**
 * Most files a process of the sandbox may have open.
 */
nofile?: number, 
/**
 * Network of the sandbox: `gateway` for what the policy allows, `open` for everything, `none` for no network at all.
 */
network?: Network, 
/**
 * Where the project appears inside: at the `same` path as on the host, or under `/workspaces`.
 */
workspacePath?: WorkspacePath, 
/**
 * Environment variables of the sandbox. Not for secrets: anyone who can inspect the container can read them.
 */
env?: { [key in string]: string }, 
/**
 * Further paths, relative to the project, that are read-only inside because something on the host runs them.
 */
protectedPaths?: Array<string>, 
/**
 * What the sandbox may reach when its network is `gateway`.
 */
egress?: EgressConfig, 
/**
 * Files and directories of the project that the sandbox cannot read: paths relative to the project, `*` for any part of a name and `**` for any directories, for example `.env` or `secrets/*.key`. Beside `.env`, `.env.local` and `.env.*.local`, and everywhere `.ssh`, `.aws`, `.gnupg`, `.netrc`, `.git-credentials`, `id_rsa` and `id_ed25519`, which are always masked; `!` in front lifts one, the last that fits decides.
 */
maskedPaths?: Array<string>, 
/**
 * Files and directories of this machine beside the project that the sandbox can read and never write, for example `~/.ssh` or `/data/models:/models`: `SOURCE` or `SOURCE:TARGET`. Without a target, what is in your home appears at the same place in the sandbox's home, everything else at the same path. What runs inside can read all of it, private keys too.
 */
readOnlyMounts?: Array<string>, 
/**
 * Further arguments for Claude Code inside.
 */
claudeArgs?: Array<string>, 
/**
 * Lets the sandbox use the login of Claude Code on this machine: it receives the short-lived access token, never the refresh token. Off by default; ignored in a project's file.
 */
hostLogin?: boolean, 
/**
 * Lets the sandbox ask the SSH agent of this machine, for git over SSH and for signing commits. Keys never leave the agent, but what runs inside can use each of them while this is `on`.
 */
sshAgent?: SshAgent, };

/**
 * The network policy of one layer of settings.
 */
export type EgressConfig = { 
/**
 * Ready-made sets of hosts: `claude` (always there), `npm`, `pypi`, `crates`, `go`, `debian`, `github` and others. `boxwood egress policy --presets` lists them.
 */
presets?: Array<string>, 
/**
 * Hosts to allow, each `name`, `*.name` or `name:port`.
 */
allow?: Array<string>, 
/**
 * Hosts to refuse, each `name`, `*.name` or `name:port`. No project can allow what your own file denies.
 */
deny?: Array<string>, 
/**
 * Rules with all their detail.
 */
rules?: Array<EgressRule>, 
/**
 * Addresses of names that are not to be looked up, like a line of a hosts file.
 */
hosts?: { [key in string]: string }, 
/**
 * What becomes of hosts that no rule names: `ask` holds the connection while you are asked, `deny` refuses it, `allow` lets everything through.
 */
default?: EgressAction, 
/**
 * Seconds that a connection is held for an answer.
 */
holdSeconds?: number, 
/**
 * Bounds on what may pass.
 */
limits?: EgressLimits, };

/**
 * Hosts, and what becomes of connections to them.
 */
export type EgressRule = { 
/**
 * A name (`github.com`), any name below one (`*.github.com`, which is not `github.com` itself), everything (`*`), an address (`10.1.2.3`, `[fd00::1]`) or a block of addresses (`10.1.0.0/16`).
 */
host: string, 
/**
 * Ports. When left out, 80 and 443 for a rule that allows and every port for one that asks or denies.
 */
ports?: Array<number>, 
/**
 * What becomes of it.
 */
action: EgressAction, 
/**
 * HTTP methods it is about, for example `GET`; all when left out. The gateway opens TLS for such a host, with an authority that only this sandbox trusts.
 */
methods?: Array<string>, 
/**
 * HTTP paths it is about; a `*` at the end stands for any rest. Also opens TLS.
 */
paths?: Array<string>, 
/**
 * Lets the name lead to private, loopback and link-local addresses, which is refused otherwise.
 */
private?: boolean, 
/**
 * Opens TLS to compare each request's host with the connection's, so that a shared server cannot be used to reach another of its hosts.
 */
inspect?: boolean, };

/**
 * Bounds on what may pass.
 */
export type EgressLimits = { 
/**
 * Connections open at a time; 1024 when left out.
 */
connections?: number, 
/**
 * New connections a second; 200 when left out.
 */
connectionsPerSecond?: number, 
/**
 * Most bytes that one connection may send, for example `1g`; no limit when left out.
 */
upload?: string, 
/**
 * Most bytes a second that the sandbox may send, for example `10m`; no limit when left out.
 */
uploadPerSecond?: string, };

/**
 * What becomes of a connection.
 */
export type EgressAction = "allow" | "ask" | "deny";

/**
 * Where a value comes from.
 */
export type ConfigSource = "default" | "user" | "project" | "request";

/**
 * The configuration in force for a project.
 */
export type ConfigReport = { 
/**
 * Canonical path of the project.
 */
project: string, 
/**
 * Every setting with its value.
 */
effective: SandboxConfig, 
/**
 * Where each value that is not a default comes from.
 */
sources: { [key in string]: ConfigSource }, 
/**
 * The project's file, when it exists.
 */
projectFile?: string, 
/**
 * Hash of the project's file and of the Dockerfile it names; what an approval is bound to.
 */
contentHash?: string, 
/**
 * Settings in the project's file that ask for more than the default, each in plain words.
 */
widens: Array<string>, 
/**
 * True when there is nothing to approve or it has been approved as it stands.
 */
isApproved: boolean, };

/**
 * Approves a project's configuration.
 */
export type ApproveParams = { 
/**
 * Path of the project.
 */
project: string, 
/**
 * The hash that the person saw; refused when the content is another by now.
 */
contentHash: string, };

/**
 * What the container is doing.
 */
export type SandboxState = "creating" | "running" | "paused" | "stopped" | "failed";

/**
 * What the last health check said.
 */
export type Health = "none" | "starting" | "healthy" | "unhealthy";

/**
 * Where the network policy is enforced.
 */
export type Enforcement = "outside" | "inside" | "off";

/**
 * A sandbox in a list.
 */
export type SandboxInfo = { 
/**
 * Stable id, made from project and session: `<basename>-<hash8>[-<session>]`.
 */
id: string, 
/**
 * Name of the container.
 */
container: string, 
/**
 * Canonical path of the project on the host.
 */
project: string, 
/**
 * Name of the session; `default` unless one was given.
 */
session: string, 
/**
 * What the container is doing.
 */
state: SandboxState, 
/**
 * What the last health check said.
 */
health: Health, 
/**
 * The first failed check, or why the container ended.
 */
detail?: string, 
/**
 * Kept until removed, or removed when it ends.
 */
lifetime: Lifetime, 
/**
 * The network that it was made with.
 */
network: Network, 
/**
 * Where the network policy is enforced, as last checked from inside.
 */
enforcement: Enforcement, 
/**
 * Why enforcement is weaker than what was asked for, or cannot be checked.
 */
alarm?: string, 
/**
 * Connections and lookups that were refused since the sandbox started.
 */
blocked: number, 
/**
 * Until when everything is let through, milliseconds since 1970; absent when the policy holds.
 */
bypassUntilMs?: number, 
/**
 * Image reference.
 */
image: string, 
/**
 * Version of Claude Code inside.
 */
claudeVersion: string, 
/**
 * When the container was made, RFC 3339 in UTC.
 */
createdAt: string, 
/**
 * When it was last started, RFC 3339 in UTC.
 */
startedAt?: string, 
/**
 * Exit status of the main process, once it has ended.
 */
exitCode?: number, 
/**
 * True when the configuration in force differs from the one it was made with, so a refresh would change it.
 */
isOutdated: boolean, };

/**
 * A mount of a sandbox.
 */
export type MountInfo = { 
/**
 * Path on the host, or the name of a volume.
 */
source: string, 
/**
 * Path inside.
 */
target: string, 
/**
 * Whether the inside can write.
 */
isReadOnly: boolean, };

/**
 * Limits of a sandbox.
 */
export type Limits = { 
/**
 * Memory in bytes; there is no swap beyond it.
 */
memoryBytes: number, 
/**
 * Processors, in units of one.
 */
cpus: number, 
/**
 * Processes and threads.
 */
pids: number, 
/**
 * Open files per process.
 */
nofile: number, };

/**
 * A sandbox with everything that is known of it.
 */
export type SandboxDetail = { 
/**
 * The short form.
 */
sandbox: SandboxInfo, 
/**
 * Id of the container, 64 hexadecimal digits.
 */
containerId: string, 
/**
 * The limits it was made with.
 */
limits: Limits, 
/**
 * Its mounts.
 */
mounts: Array<MountInfo>, 
/**
 * Its labels.
 */
labels: { [key in string]: string }, 
/**
 * `uid:gid` of its processes.
 */
user: string, 
/**
 * Where its home and conversations are kept on the host.
 */
stateDirectory: string, 
/**
 * Hash of the configuration it was made with.
 */
configHash: string, 
/**
 * Variant of the agent image, unless the project brings its own image.
 */
variant?: ImageVariant, 
/**
 * What the last health check said, check by check.
 */
checks: Array<HealthCheck>, };

/**
 * One check of the health of a sandbox.
 */
export type HealthCheck = { 
/**
 * For example `workspace-writable`.
 */
name: string, 
/**
 * Whether it passed.
 */
ok: boolean, 
/**
 * What was found.
 */
detail: string, };

/**
 * Where a rule comes from, the strongest first.
 */
export type EgressLayer = "builtIn" | "bypass" | "session" | "remembered" | "userDeny" | "request" | "project" | "user" | "preset" | "default";

/**
 * A rule with its place in the policy.
 */
export type PlacedRule = { 
/**
 * Where it comes from.
 */
layer: EgressLayer, 
/**
 * Name of the preset, when it comes from one.
 */
preset?: string, 
/**
 * The rule.
 */
rule: EgressRule, };

/**
 * How a connection named its host.
 */
export type EgressVia = "dns" | "tls" | "http" | "https" | "connect" | "socks" | "address";

/**
 * A decision that was taken.
 */
export type EgressDecision = { 
/**
 * Grows by one per decision of a gateway's run.
 */
serial: number, 
/**
 * When, milliseconds since 1970.
 */
atMs: number, 
/**
 * The host that was asked for; cleaned of everything that is not printable.
 */
host: string, 
/**
 * The port; 0 for a question for an address.
 */
port: number, 
/**
 * How it was asked for.
 */
via: EgressVia, 
/**
 * What became of it: never `ask`.
 */
action: EgressAction, 
/**
 * Which layer decided.
 */
layer: EgressLayer, 
/**
 * The rule that decided, as text, for example `*.github.com:443`.
 */
rule?: string, 
/**
 * Why it was refused, when not by a rule: for example `private-address`, `name-mismatch`, `timeout`; or why what was
 * allowed was not reached: `not-found`, `lookup-failed`, `unreachable`.
 */
reason?: string, 
/**
 * Method and path, when the gateway saw them.
 */
request?: string, 
/**
 * How many the same in a row this stands for.
 */
count: number, 
/**
 * Bytes that went out; of a connection that has ended.
 */
bytesUp: number, 
/**
 * Bytes that came in; of a connection that has ended.
 */
bytesDown: number, };

/**
 * A connection that waits for the person.
 */
export type EgressAsk = { 
/**
 * Id, unique for a gateway's run; connections to the same host and port share one.
 */
id: string, 
/**
 * The host.
 */
host: string, 
/**
 * The port.
 */
port: number, 
/**
 * How many connections wait.
 */
waiting: number, 
/**
 * Until when, milliseconds since 1970.
 */
untilMs: number, };

/**
 * What the person answers.
 */
export type EgressAnswer = "allowOnce" | "allowSession" | "allowProject" | "deny" | "denyAlways";

/**
 * Answers for a host, whether a connection waits or not.
 */
export type EgressDecideParams = { 
/**
 * Which sandbox.
 */
target: SandboxRef, 
/**
 * `name`, `*.name` or `name:port`; without a port 80 and 443, unless only other ports wait: then those.
 */
host: string, 
/**
 * The answer.
 */
answer: EgressAnswer, };

/**
 * Takes back what was decided for a host, for the session and the project.
 */
export type EgressForgetParams = { 
/**
 * Which sandbox.
 */
target: SandboxRef, 
/**
 * As it was decided; `*` alone takes back everything.
 */
host: string, };

/**
 * Lets everything through for a while, or ends that.
 */
export type EgressBypassParams = { 
/**
 * Which sandbox.
 */
target: SandboxRef, 
/**
 * Seconds, at most 3600; 0 ends it.
 */
seconds: number, };

/**
 * Asks what would become of a connection.
 */
export type EgressTestParams = { 
/**
 * Which sandbox, or which project.
 */
target: SandboxRef, 
/**
 * Name or address.
 */
host: string, 
/**
 * Port; 443 when left out.
 */
port?: number, 
/**
 * HTTP method, for rules about methods.
 */
method?: string, 
/**
 * HTTP path, for rules about paths.
 */
path?: string, };

/**
 * What the policy says of a connection.
 */
export type EgressVerdict = { 
/**
 * What becomes of it.
 */
action: EgressAction, 
/**
 * Which layer says so.
 */
layer: EgressLayer, 
/**
 * The rule that says so.
 */
rule?: PlacedRule, 
/**
 * The same in plain words.
 */
explanation: string, };

/**
 * Asks for recent decisions.
 */
export type EgressLogParams = { 
/**
 * Which sandbox.
 */
target: SandboxRef, 
/**
 * At most so many, the newest; 100 when left out, at most 1000.
 */
limit?: number, 
/**
 * Only what was refused.
 */
blocked: boolean, };

/**
 * How often a rule decided.
 */
export type RuleHits = { 
/**
 * How many connections it decided since the gateway started.
 */
hits: number, 
/**
 * Where it comes from.
 */
layer: EgressLayer, 
/**
 * Name of the preset, when it comes from one.
 */
preset?: string, 
/**
 * The rule.
 */
rule: EgressRule, };

/**
 * A ready-made set of hosts.
 */
export type PresetInfo = { 
/**
 * Name.
 */
name: string, 
/**
 * What it is for.
 */
description: string, 
/**
 * Its hosts, each `name`, `*.name` or `name:port`.
 */
hosts: Array<string>, };

/**
 * The policy in force for a sandbox, or for a project's next one.
 */
export type EgressReport = { 
/**
 * The network of the sandbox, or of the next one; only `gateway` has a policy.
 */
network: Network, 
/**
 * Where it is enforced.
 */
enforcement: Enforcement, 
/**
 * Why it is not enforced outside, when that was asked for.
 */
alarm?: string, 
/**
 * The rules, the strongest layer first.
 */
rules: Array<RuleHits>, 
/**
 * What becomes of hosts that no rule names.
 */
default: EgressAction, 
/**
 * Until when everything is let through, milliseconds since 1970; 0 for not at all.
 */
bypassUntilMs: number, 
/**
 * Connections that wait for an answer.
 */
asks: Array<EgressAsk>, 
/**
 * Connections that went through since the gateway started.
 */
allowed: number, 
/**
 * Connections that were refused since then.
 */
blocked: number, 
/**
 * Connections open now.
 */
open: number, 
/**
 * The presets that exist.
 */
presets: Array<PresetInfo>, };

/**
 * How a sandbox holds what Claude Code needs.
 */
export type CredentialMode = "brokered" | "isolated" | "token" | "sync";

/**
 * Where a credential comes from.
 */
export type CredentialSource = "bedrockKey" | "bedrockSession" | "vertex" | "environmentToken" | "environmentKey" | "keyHelper" | "environmentLogin" | "storedKey" | "storedLogin" | "loginHome" | "hostLogin";

/**
 * The variables of [`ENVIRONMENT`] that a client found in its own.
 */
export type ClientEnvironment = Record<string, string>;

/**
 * Which credentials are meant: a sandbox's, a project's, or those that a new sandbox would get.
 */
export type CredentialsParams = { 
/**
 * The sandbox, when one is meant.
 */
target?: SandboxRef, 
/**
 * Claude Code's variables in the client's environment.
 */
environment?: ClientEnvironment, };

/**
 * What can be kept in the keyring.
 */
export type StoredCredential = "apiKey" | "authToken" | "setupToken";

/**
 * A text that is shown nowhere: it has no `Display`, its `Debug` is fixed, and its memory is overwritten when it goes.
 *
 * It is read from, and written to, messages as an ordinary string; only what is meant to carry a value has one.
 */
export type Secret = string;

/**
 * Keeps a credential for later.
 */
export type CredentialsSetParams = { 
/**
 * What it is.
 */
kind: StoredCredential, 
/**
 * The value. It is put where it belongs and never given back.
 */
value: Secret, 
/**
 * URL of the endpoint that it is for, unless that is Anthropic's own.
 */
baseUrl?: string, };

/**
 * Forgets a credential, here and in every sandbox that has it from here.
 */
export type CredentialsSignOutParams = { 
/**
 * Where it comes from. The host's own login is only no longer used: it is not ours to end.
 */
source: CredentialSource, };

/**
 * Chooses where a sandbox's credential comes from and how it is held.
 */
export type CredentialsSetModeParams = { 
/**
 * The sandbox; new sandboxes when left out.
 */
target?: SandboxRef, 
/**
 * The source; the first that has something when left out.
 */
source?: CredentialSource, 
/**
 * The mode; the source's own when left out.
 */
mode?: CredentialMode, 
/**
 * Says that the person read what the choice means. A choice that has an explanation is refused without.
 */
consent: boolean, 
/**
 * Claude Code's variables in the client's environment.
 */
environment?: ClientEnvironment, };

/**
 * One of the two places whose logins are kept the same.
 */
export type CredentialSide = "host" | "sandbox";

/**
 * Says which of two logins is to be kept, where that could not be told.
 */
export type CredentialsResolveParams = { 
/**
 * The sandbox.
 */
target: SandboxRef, 
/**
 * Whose login takes the place of the other. What it replaces is kept as a backup.
 */
keep: CredentialSide, };

/**
 * How a login is, the best first.
 */
export type CredentialHealth = "ok" | "expiring" | "attention" | "expired" | "unreadable" | "signedOut";

/**
 * Whose login it is, as far as it says so itself.
 */
export type CredentialAccount = { 
/**
 * Id of the account.
 */
id?: string, 
/**
 * Address of the account.
 */
email?: string, 
/**
 * Kind of subscription.
 */
subscription?: string, };

/**
 * Whether a source is used.
 */
export type CredentialUse = "chosen" | "available" | "byChoice" | "unusable" | "absent";

/**
 * A source, and why it is used or not.
 */
export type CredentialSourceReport = { 
/**
 * The source.
 */
source: CredentialSource, 
/**
 * Its name for a person.
 */
title: string, 
/**
 * Whether it is used.
 */
usage: CredentialUse, 
/**
 * Why, in plain words.
 */
reason: string, };

/**
 * A mode that the source in use can serve.
 */
export type CredentialModeReport = { 
/**
 * The mode.
 */
mode: CredentialMode, 
/**
 * What the sandbox then holds, in plain words.
 */
holds: string, 
/**
 * Whether it is what the source gets when nothing is chosen.
 */
isDefault: boolean, 
/**
 * Whether the sandbox can have it as it is.
 */
isAvailable: boolean, 
/**
 * What the person must know before choosing it; a choice with an explanation needs consent.
 */
explanation?: string, };

/**
 * How Claude's credentials are. There is no field for a value.
 */
export type CredentialsStatus = { 
/**
 * Id of the sandbox it is about; left out for new sandboxes.
 */
sandbox?: string, 
/**
 * The source in use.
 */
source?: CredentialSource, 
/**
 * The mode in use.
 */
mode?: CredentialMode, 
/**
 * Whose login it is.
 */
account?: CredentialAccount, 
/**
 * When one must sign in again, milliseconds since 1970.
 */
expiresAtMs?: number, 
/**
 * Whole days until then; negative once it is over.
 */
daysLeft?: number, 
/**
 * When the access token was last renewed, milliseconds since 1970.
 */
lastRefreshMs?: number, 
/**
 * How it is.
 */
health: CredentialHealth, 
/**
 * How it is, in plain words.
 */
detail: string, 
/**
 * What to do, unless it is well.
 */
nextStep?: string, 
/**
 * True when both sides have a login and the person has to say which one is to be kept.
 */
isInConflict: boolean, 
/**
 * Every source in the order in which they are asked.
 */
sources: Array<CredentialSourceReport>, 
/**
 * The modes that the source in use can serve.
 */
modes: Array<CredentialModeReport>, 
/**
 * What the person should know although it works.
 */
warnings: Array<string>, };

/**
 * A request for a credential that waits for the person.
 */
export type GitAsk = { 
/**
 * Tells this question from others of the daemon.
 */
id: string, 
/**
 * Host, with its port where that is not 443.
 */
host: string, 
/**
 * Project whose sandboxes the answer is for.
 */
project: string, 
/**
 * When it is refused without an answer, milliseconds since 1970.
 */
untilMs: number, };

/**
 * What the person decided.
 */
export type GitAnswer = "allow" | "deny";

/**
 * What was decided for a host.
 */
export type GitApproval = { 
/**
 * Host, with its port where that is not 443.
 */
host: string, 
/**
 * The decision.
 */
answer: GitAnswer, };

/**
 * Decisions and open questions of a project.
 */
export type GitReport = { 
/**
 * Canonical path of the project.
 */
project: string, 
/**
 * What was decided, by host.
 */
approvals: Array<GitApproval>, 
/**
 * Requests that wait.
 */
asks: Array<GitAsk>, };

/**
 * Decides about a host.
 */
export type GitDecideParams = { 
/**
 * Which sandbox, or the project; the decision is for the whole project.
 */
target: SandboxRef, 
/**
 * Host, or `host:port`.
 */
host: string, 
/**
 * The decision.
 */
answer: GitAnswer, };

/**
 * Takes a decision back.
 */
export type GitRevokeParams = { 
/**
 * Which sandbox, or the project.
 */
target: SandboxRef, 
/**
 * Host, or `host:port`.
 */
host: string, };

/**
 * How to sign in.
 */
export type LoginKind = "login" | "setupToken" | "console";

/**
 * Begins to sign in.
 */
export type LoginStartParams = { 
/**
 * How.
 */
kind: LoginKind, 
/**
 * Name of the login home; the person's own, `default`, when left out.
 */
home?: string, 
/**
 * The sandbox whose own login home it is to be, in the place of a name.
 */
target?: SandboxRef, 
/**
 * Says that a login which is there may be replaced. It is refused without.
 */
replace: boolean, };

/**
 * What the person copied in the browser.
 */
export type LoginCodeParams = { 
/**
 * The operation that signs in.
 */
operationId: string, 
/**
 * The code as it was copied. It goes to `claude` and nowhere else.
 */
code: Secret, };

/**
 * Whether the login of another account than before may take its place.
 */
export type LoginAcceptParams = { 
/**
 * The operation that signs in.
 */
operationId: string, 
/**
 * False ends it and leaves the login before as it was.
 */
accept: boolean, };

/**
 * What a sign-in asks of the person.
 */
export type LoginAsk = { "type": "url", 
/**
 * The address: always `https`, always a host of Anthropic's.
 */
url: string, } | { "type": "wantsCode" } | { "type": "wrongCode", 
/**
 * What is wrong with it, in plain words.
 */
reason: string, } | { "type": "otherAccount", 
/**
 * Whose login it was, as far as it says so.
 */
before?: string, 
/**
 * Whose login it is now, as far as it says so.
 */
now?: string, };

/**
 * The answer to a method that starts an operation.
 */
export type OperationStarted = { 
/**
 * Id of the operation, also its trace id in logs and labels: 32 lower-case hexadecimal digits.
 */
operationId: string, };

/**
 * Names an operation.
 */
export type OperationParams = { 
/**
 * Id as given by [`OperationStarted`].
 */
operationId: string, };

/**
 * The answer to a request to cancel.
 */
export type Cancelled = { 
/**
 * False when the operation had already ended.
 */
wasRunning: boolean, };

/**
 * An operation in a list.
 */
export type OperationSummary = { 
/**
 * Id of the operation.
 */
operationId: string, 
/**
 * What it does: the last part of the method's name, for example `ensure`.
 */
kind: string, 
/**
 * The sandbox it works on, when there is one.
 */
sandboxId?: string, 
/**
 * The project it works for, when there is one.
 */
project?: string, 
/**
 * When it began, RFC 3339 in UTC.
 */
startedAt: string, 
/**
 * How it ended; absent while it runs.
 */
outcome?: OutcomeKind, };

/**
 * The three ways an operation ends.
 */
export type OutcomeKind = "ok" | "cancelled" | "failed";

/**
 * The end of an operation.
 */
export type OperationEnd = { 
/**
 * Id of the operation.
 */
operationId: string, 
/**
 * What it did.
 */
kind: string, 
/**
 * How it ended.
 */
outcome: OutcomeKind, 
/**
 * What it gives, when it went well; its type is the method's `ends`.
 */
result?: unknown, 
/**
 * Why it did not, otherwise.
 */
error?: RpcError, 
/**
 * What could not be undone after a failure, each in plain words; the next start of the daemon tries again.
 */
leftOver: Array<string>, 
/**
 * How long it took, milliseconds.
 */
durationMs: number, };

/**
 * Durations and outcomes of one kind of operation since the daemon first kept them.
 */
export type Metric = { 
/**
 * Kind of operation.
 */
kind: string, 
/**
 * How many ended well.
 */
ok: number, 
/**
 * How many were cancelled.
 */
cancelled: number, 
/**
 * How many failed.
 */
failed: number, 
/**
 * Middle duration of the last 128, milliseconds.
 */
medianMs: number, 
/**
 * Duration that 95 of 100 of the last 128 stay under, milliseconds.
 */
p95Ms: number, 
/**
 * Longest of the last 128, milliseconds.
 */
maxMs: number, };

/**
 * Where a piece of output came from.
 */
export type Stream = "stdout" | "stderr" | "log";

/**
 * Something the person can do about an error; an editor shows it as a button, the CLI as a command.
 */
export type Action = "retry" | "runDoctor" | "showLogs" | "openSettings" | "openConfig" | "approveConfig" | "startSandbox" | "restartServer" | "cleanUp";

/**
 * What went wrong. The string form is stable and meant for scripts.
 */
export type ErrorCode = "rpc.unknownMethod" | "rpc.invalidParams" | "rpc.requestTooLarge" | "internal" | "daemon.unavailable" | "daemon.version" | "daemon.busy" | "daemon.socketUnsafe" | "engine.unavailable" | "engine.permission" | "engine.tooOld" | "engine.failed" | "disk.full" | "engine.nameConflict" | "sandbox.notFound" | "sandbox.notRunning" | "sandbox.unhealthy" | "sandbox.ambiguous" | "sandbox.busy" | "project.invalid" | "project.forbidden" | "config.invalid" | "config.approvalRequired" | "image.failed" | "runtime.failed" | "operation.cancelled" | "operation.notFound" | "template.invalid" | "state.failed" | "egress.gateway" | "egress.leak" | "egress.nothing" | "credentials.consent" | "credentials.unusable" | "credentials.store" | "credentials.locked" | "login.running" | "login.exists" | "login.wrongCode" | "login.timedOut" | "login.failed" | "login.notAsked";

/**
 * An error as it crosses the wire: JSON-RPC's `message` is [`RpcError::message`], its `data` is this object.
 */
export type RpcError = { 
/**
 * Stable code.
 */
code: ErrorCode, 
/**
 * What failed, in plain words, without a full stop.
 */
message: string, 
/**
 * The next step.
 */
hint?: string, 
/**
 * What the person can be offered, the best first.
 */
actions: Array<Action>, 
/**
 * What led to it, outermost first.
 */
causes: Array<string>, 
/**
 * Where to look in the log.
 */
traceId?: string, };

/**
 * What a subscriber wants beside the changes of sandboxes, operations and the engine, which everybody gets.
 */
export type SubscribeParams = { 
/**
 * Ids of sandboxes whose figures are wanted about once a second; the engine is asked only while someone wants them.
 */
stats: Array<string>, };

/**
 * A change, as it happened. A subscription begins with a [`Event::Snapshot`].
 */
export type Event = { "type": "snapshot", 
/**
 * All sandboxes.
 */
sandboxes: Array<SandboxInfo>, 
/**
 * Connections that wait for the person, by sandbox.
 */
asks: { [key in string]: Array<EgressAsk> }, 
/**
 * What running sign-ins ask of the person, by operation.
 */
logins?: { [key in string]: Array<LoginAsk> }, 
/**
 * The operations that run.
 */
operations: Array<OperationSummary>, 
/**
 * The engine.
 */
engine: EngineStatus, } | { "type": "sandboxChanged", 
/**
 * The sandbox as it now is.
 */
sandbox: SandboxInfo, } | { "type": "sandboxRemoved", 
/**
 * Its id.
 */
id: string, } | { "type": "engineChanged", 
/**
 * The engine as it now is.
 */
engine: EngineStatus, } | { "type": "stats", 
/**
 * Which sandbox.
 */
sandboxId: string, 
/**
 * The reading.
 */
sample: StatsSample, } | { "type": "egressDecided", 
/**
 * Which sandbox.
 */
sandboxId: string, 
/**
 * The decision.
 */
decision: EgressDecision, } | { "type": "egressAsking", 
/**
 * Which sandbox.
 */
sandboxId: string, 
/**
 * The question.
 */
ask: EgressAsk, } | { "type": "egressAsked", 
/**
 * Which sandbox.
 */
sandboxId: string, 
/**
 * Id of the question.
 */
askId: string, } | { "type": "credentialsChanged", 
/**
 * The sandbox whose credentials they are; left out when it may be every sandbox's.
 */
sandboxId?: string, } | { "type": "gitAsking", 
/**
 * Which sandbox.
 */
sandboxId: string, 
/**
 * The question.
 */
ask: GitAsk, } | { "type": "gitAsked", 
/**
 * Which sandbox.
 */
sandboxId: string, 
/**
 * Id of the question.
 */
askId: string, } | { "type": "loginAsks", 
/**
 * Which operation.
 */
operationId: string, 
/**
 * What it asks.
 */
ask: LoginAsk, } | { "type": "operationStarted", 
/**
 * The operation.
 */
operation: OperationSummary, } | { "type": "operationProgress", 
/**
 * Which operation.
 */
operationId: string, 
/**
 * Short name of the step, for example `image`.
 */
step: string, 
/**
 * What is being done, in plain words.
 */
message: string, 
/**
 * Steps done.
 */
done: number, 
/**
 * Steps in all.
 */
total: number, 
/**
 * Share of this step that is done, 0 to 100, when it is known.
 */
percent?: number, } | { "type": "operationOutput", 
/**
 * Which operation.
 */
operationId: string, 
/**
 * Where it came from.
 */
stream: Stream, 
/**
 * The text; for a command's output this may be part of a line.
 */
text: string, } | { "type": "operationEnded", 
/**
 * How it ended.
 */
end: OperationEnd, };

/** Every request: its parameters, its direct answer, and what the operation it starts ends with. */
export interface Methods {
  /** Opens a conversation: each side learns the other's versions. The first request of every connection. */
  "boxwood/daemon/hello": { params: HelloParams; result: HelloResult; outcome: never };
  /** Says how the daemon is: process, uptime, clients, sandboxes, engine. */
  "boxwood/daemon/status": { params: Empty; result: DaemonStatus; outcome: never };
  /** Asks the daemon to leave. Sandboxes keep running. Refused while operations run, unless forced. */
  "boxwood/daemon/stop": { params: DaemonStopParams; result: Empty; outcome: never };
  /** Brings a project's sandbox to life: creates, starts or finds it. Asking twice gives the same one. */
  "boxwood/sandbox/ensure": { params: EnsureParams; result: OperationStarted; outcome: EnsureResult };
  /** Stops a sandbox; its workspace and state stay. */
  "boxwood/sandbox/stop": { params: SandboxRef; result: OperationStarted; outcome: SandboxInfo };
  /** Stops and starts a sandbox. */
  "boxwood/sandbox/restart": { params: SandboxRef; result: OperationStarted; outcome: SandboxInfo };
  /** Makes the container anew from its image and configuration; workspace and state stay. */
  "boxwood/sandbox/refresh": { params: EnsureParams; result: OperationStarted; outcome: EnsureResult };
  /** Removes a sandbox. Its conversations and home stay on disk unless `purgeState` says otherwise. */
  "boxwood/sandbox/remove": { params: RemoveParams; result: OperationStarted; outcome: Empty };
  /** All sandboxes, or a project's. */
  "boxwood/sandbox/list": { params: SandboxFilter; result: Array<SandboxInfo>; outcome: never };
  /** How many sandboxes there are, by state. */
  "boxwood/sandbox/count": { params: SandboxFilter; result: SandboxCount; outcome: never };
  /** One sandbox with its limits, mounts and configuration. */
  "boxwood/sandbox/inspect": { params: SandboxRef; result: SandboxDetail; outcome: never };
  /** The last lines that the sandbox's main process wrote. */
  "boxwood/sandbox/logs": { params: LogsParams; result: OperationStarted; outcome: LogsResult };
  /** Runs a command in a sandbox, capturing its output; each piece also arrives as an event. */
  "boxwood/sandbox/exec": { params: ExecParams; result: OperationStarted; outcome: ExecResult };
  /** One reading of a sandbox's processor, memory and process figures. */
  "boxwood/sandbox/stats": { params: SandboxRef; result: OperationStarted; outcome: StatsSample };
  /** What a terminal needs to attach to a sandbox or to run a command in it directly on the engine. */
  "boxwood/sandbox/attach": { params: AttachParams; result: AttachTarget; outcome: never };
  /** Removes what no sandbox uses any more: stopped sandboxes, old images and runtime volumes, leftovers. */
  "boxwood/sandbox/prune": { params: PruneParams; result: OperationStarted; outcome: PruneReport };
  /** Removes every container, volume and image carrying the product's labels. State on disk stays. */
  "boxwood/sandbox/cleanupAll": { params: PruneParams; result: OperationStarted; outcome: PruneReport };
  /** The operations that run, and the last that ended. */
  "boxwood/operation/list": { params: Empty; result: Array<OperationSummary>; outcome: never };
  /** Asks an operation to stop; what it did so far is undone. */
  "boxwood/operation/cancel": { params: OperationParams; result: Cancelled; outcome: never };
  /** Answers when an operation has ended, or at once when it already has. */
  "boxwood/operation/wait": { params: OperationParams; result: OperationEnd; outcome: never };
  /** Counts, outcomes and durations of operations by kind. */
  "boxwood/operation/metrics": { params: Empty; result: Array<Metric>; outcome: never };
  /** The configuration in force for a project, where each value comes from, and what awaits approval. */
  "boxwood/config/get": { params: ProjectParams; result: ConfigReport; outcome: never };
  /** Approves a project's configuration as it stands, by its content hash. */
  "boxwood/config/approve": { params: ApproveParams; result: ConfigReport; outcome: never };
  /** The network policy in force for a sandbox, rule by rule with hits, and how it is enforced. */
  "boxwood/egress/policy": { params: SandboxRef; result: EgressReport; outcome: never };
  /** What the policy says of a connection, and which rule says so. Nothing is sent. */
  "boxwood/egress/test": { params: EgressTestParams; result: EgressVerdict; outcome: never };
  /** Allows or denies a host, for the connections that wait, for the session or for the project. Enforced when it answers. */
  "boxwood/egress/decide": { params: EgressDecideParams; result: EgressReport; outcome: never };
  /** Takes back what was decided for a host. Connections that nothing else allows are cut. */
  "boxwood/egress/forget": { params: EgressForgetParams; result: EgressReport; outcome: never };
  /** Lets everything through for a while, or ends that. Logged and shown everywhere. */
  "boxwood/egress/bypass": { params: EgressBypassParams; result: EgressReport; outcome: never };
  /** Connections that wait for the person. */
  "boxwood/egress/asks": { params: SandboxRef; result: Array<EgressAsk>; outcome: never };
  /** The last decisions, the newest last. */
  "boxwood/egress/log": { params: EgressLogParams; result: Array<EgressDecision>; outcome: never };
  /** How Claude's credentials are: account, source, mode, days left, and why it is so. Never a value. */
  "boxwood/credentials/status": { params: CredentialsParams; result: CredentialsStatus; outcome: never };
  /** Keeps a key or a token in the system's keyring. Sandboxes that use its source have it when the operation ends. */
  "boxwood/credentials/set": { params: CredentialsSetParams; result: OperationStarted; outcome: CredentialsStatus };
  /** Forgets a credential, here and in every sandbox that has it from here. */
  "boxwood/credentials/signOut": { params: CredentialsSignOutParams; result: OperationStarted; outcome: CredentialsStatus };
  /** Chooses where a sandbox's credential comes from and how it is held. Nothing is left of the mode before. */
  "boxwood/credentials/setMode": { params: CredentialsSetModeParams; result: OperationStarted; outcome: CredentialsStatus };
  /** Keeps one of two logins where it could not be told which is the newer; the other one is kept as a backup. */
  "boxwood/credentials/resolve": { params: CredentialsResolveParams; result: OperationStarted; outcome: CredentialsStatus };
  /** Which hosts a project's sandboxes get git credentials of this machine for, and which requests wait for the person. */
  "boxwood/git/approvals": { params: SandboxRef; result: GitReport; outcome: never };
  /** Lets a project's sandboxes have the person's git credential for a host, or refuses it to them, from now on. */
  "boxwood/git/decide": { params: GitDecideParams; result: GitReport; outcome: never };
  /** Takes back what was decided for a host: the next request asks again. */
  "boxwood/git/revoke": { params: GitRevokeParams; result: GitReport; outcome: never };
  /** Signs in with the real `claude` in a container of its own. What it asks of the person arrives as events. A second sign-in to the same login home is refused while one runs. */
  "boxwood/login/start": { params: LoginStartParams; result: OperationStarted; outcome: CredentialsStatus };
  /** Hands on the code that the browser showed. One that is not of this sign-in is asked for again. */
  "boxwood/login/code": { params: LoginCodeParams; result: Empty; outcome: never };
  /** Says whether the login of another account may take the place of the one before. */
  "boxwood/login/accept": { params: LoginAcceptParams; result: Empty; outcome: never };
  /** The images the product built, with their sizes. */
  "boxwood/image/list": { params: Empty; result: Array<ImageInfo>; outcome: never };
  /** Builds an image variant unless one of the same content exists. */
  "boxwood/image/build": { params: ImageBuildParams; result: OperationStarted; outcome: ImageInfo };
  /** The devcontainer templates on offer and their options. */
  "boxwood/template/list": { params: Empty; result: Array<TemplateInfo>; outcome: never };
  /** Writes a devcontainer template into a project; an existing file is never changed. */
  "boxwood/template/insert": { params: TemplateInsertParams; result: TemplateInsertResult; outcome: never };
  /** Examines engine, permissions, image, disk and versions, with the next step for each failure. */
  "boxwood/doctor/run": { params: DoctorParams; result: OperationStarted; outcome: DoctorReport };
}

export type MethodName = keyof Methods;

/** Names of the requests, by the name of their type in the server. */
export const methods = {
  hello: "boxwood/daemon/hello",
  status: "boxwood/daemon/status",
  stopDaemon: "boxwood/daemon/stop",
  ensure: "boxwood/sandbox/ensure",
  stop: "boxwood/sandbox/stop",
  restart: "boxwood/sandbox/restart",
  refresh: "boxwood/sandbox/refresh",
  remove: "boxwood/sandbox/remove",
  list: "boxwood/sandbox/list",
  count: "boxwood/sandbox/count",
  inspect: "boxwood/sandbox/inspect",
  logs: "boxwood/sandbox/logs",
  exec: "boxwood/sandbox/exec",
  stats: "boxwood/sandbox/stats",
  attach: "boxwood/sandbox/attach",
  prune: "boxwood/sandbox/prune",
  cleanupAll: "boxwood/sandbox/cleanupAll",
  operations: "boxwood/operation/list",
  cancel: "boxwood/operation/cancel",
  wait: "boxwood/operation/wait",
  metrics: "boxwood/operation/metrics",
  getConfig: "boxwood/config/get",
  approveConfig: "boxwood/config/approve",
  egressPolicyOf: "boxwood/egress/policy",
  egressTest: "boxwood/egress/test",
  egressDecide: "boxwood/egress/decide",
  egressForget: "boxwood/egress/forget",
  egressBypass: "boxwood/egress/bypass",
  egressAsks: "boxwood/egress/asks",
  egressLog: "boxwood/egress/log",
  credentialsStatusOf: "boxwood/credentials/status",
  setCredential: "boxwood/credentials/set",
  signOut: "boxwood/credentials/signOut",
  setCredentialMode: "boxwood/credentials/setMode",
  resolveCredentials: "boxwood/credentials/resolve",
  gitApprovals: "boxwood/git/approvals",
  gitDecide: "boxwood/git/decide",
  gitRevoke: "boxwood/git/revoke",
  startLogin: "boxwood/login/start",
  loginCode: "boxwood/login/code",
  acceptLogin: "boxwood/login/accept",
  images: "boxwood/image/list",
  buildImage: "boxwood/image/build",
  templates: "boxwood/template/list",
  insertTemplate: "boxwood/template/insert",
  doctor: "boxwood/doctor/run",
} as const satisfies Record<string, MethodName>;

export const protocolVersion = 1;
export const eventMethod = "boxwood/event";
export const subscribeMethod = "boxwood/events/subscribe";

/** Variables of the environment that a client looks for and sends as `ClientEnvironment`. */
export const credentialVariables = [
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "AWS_BEARER_TOKEN_BEDROCK",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "GH_TOKEN",
  "GITHUB_TOKEN",
  "CI",
  "ANTHROPIC_BASE_URL",
  "ANTHROPIC_MODEL",
  "ANTHROPIC_SMALL_FAST_MODEL",
  "ANTHROPIC_DEFAULT_OPUS_MODEL",
  "ANTHROPIC_DEFAULT_SONNET_MODEL",
  "ANTHROPIC_DEFAULT_HAIKU_MODEL",
  "CLAUDE_CODE_USE_BEDROCK",
  "ANTHROPIC_BEDROCK_BASE_URL",
  "AWS_REGION",
  "AWS_DEFAULT_REGION",
  "CLAUDE_CODE_USE_VERTEX",
  "ANTHROPIC_VERTEX_BASE_URL",
  "ANTHROPIC_VERTEX_PROJECT_ID",
  "CLOUD_ML_REGION",
] as const;

/** JSON-RPC numbers of the stable error codes. */
export const errorNumbers: Record<ErrorCode, number> = {
  "rpc.unknownMethod": -32601,
  "rpc.invalidParams": -32602,
  "rpc.requestTooLarge": -32007,
  "internal": -32603,
  "daemon.unavailable": -33001,
  "daemon.version": -33002,
  "daemon.busy": -33003,
  "daemon.socketUnsafe": -33004,
  "engine.unavailable": -33101,
  "engine.permission": -33102,
  "engine.tooOld": -33103,
  "engine.failed": -33104,
  "disk.full": -33105,
  "engine.nameConflict": -33106,
  "sandbox.notFound": -33201,
  "sandbox.notRunning": -33202,
  "sandbox.unhealthy": -33203,
  "sandbox.ambiguous": -33204,
  "sandbox.busy": -33205,
  "project.invalid": -33301,
  "project.forbidden": -33302,
  "config.invalid": -33401,
  "config.approvalRequired": -33402,
  "image.failed": -33501,
  "runtime.failed": -33502,
  "operation.cancelled": -33601,
  "operation.notFound": -33602,
  "template.invalid": -33701,
  "state.failed": -33801,
  "egress.gateway": -33901,
  "egress.leak": -33902,
  "egress.nothing": -33903,
  "credentials.consent": -34001,
  "credentials.unusable": -34002,
  "credentials.store": -34003,
  "credentials.locked": -34004,
  "login.running": -34101,
  "login.exists": -34102,
  "login.wrongCode": -34103,
  "login.timedOut": -34104,
  "login.failed": -34105,
  "login.notAsked": -34106,
};
