// What the engine itself says, asked through the docker client: the judge of what the editor shows.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export async function docker(...args) {
  const { stdout } = await run("docker", args, { timeout: 120_000, maxBuffer: 16 * 1024 * 1024 });
  return stdout.trim();
}

/** Ids of all containers of a project, running or not. */
export async function containersOf(project) {
  const ids = await docker("ps", "--all", "--quiet", "--no-trunc", "--filter", `label=dev.boxwood.project=${project}`);
  return ids === "" ? [] : ids.split("\n");
}

/** The one container of a project; an error when there are several or none. */
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

export async function removeAllOf(project) {
  for (const container of await containersOf(project)) await docker("rm", "--force", "--volumes", container);
}
