// What the engine itself says, asked through the docker client: the judge of what the editor shows.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export async function docker(...args) {
  const { stdout } = await run("docker", args, { timeout: 120_000, maxBuffer: 16 * 1024 * 1024 });
  return stdout.trim();
}

/** Ids of all containers of a project, running or not, the gateways beside its sandboxes too. */
export async function everythingOf(project, ...filter) {
  return lines(await docker("ps", "--all", "--quiet", "--no-trunc", "--filter", `label=dev.boxwood.project=${project}`, ...filter));
}

/** Ids of the sandboxes of a project, running or not. */
export function containersOf(project) {
  return everythingOf(project, "--filter", "label=dev.boxwood.role=sandbox");
}

/** The one sandbox of a project; an error when there are several or none. */
export async function containerOf(project) {
  const ids = await containersOf(project);
  if (ids.length !== 1) throw new Error(`${project} has ${ids.length} containers`);
  return ids[0];
}

/** created, running, exited, … */
export function stateOf(container) {
  return docker("inspect", "--format", "{{.State.Status}}", container);
}

/** An address of this machine that a container on the default network can reach: the bridge's own. */
export async function hostAddress() {
  const [{ Gateway, Subnet }] = JSON.parse(await docker("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"));
  // Old engines leave the gateway out when they chose it themselves: the first address of the subnet. The interface is
  // no help, for a bridge without a container counts as down.
  return Gateway ?? Subnet.replace(/\.\d+\/\d+$/, ".1");
}

/** Removes what an installation of Boxwood made: sandboxes, gateways and networks, also that which outlives all of them. */
export async function removeAllOf(installation) {
  const filter = `label=dev.boxwood.installation=${installation}`;
  for (const id of lines(await docker("ps", "--all", "--quiet", "--filter", filter))) await docker("rm", "--force", "--volumes", id);
  for (const id of lines(await docker("network", "ls", "--quiet", "--filter", filter))) await docker("network", "rm", id);
}

function lines(text) {
  return text === "" ? [] : text.split("\n");
}
