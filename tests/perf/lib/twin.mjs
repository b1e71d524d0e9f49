// `docker run` of a container with a sandbox's settings: what of a start the engine takes for mounts and limits alone.

/** Arguments for `docker run` that give another container like the one inspected. Its mounts' sources have to stay. */
export function runLike(container) {
  const { Config: config, HostConfig: host } = container;
  const amounts = { memory: host.Memory, "memory-swap": host.MemorySwap, "pids-limit": host.PidsLimit };
  const options = [
    ...Object.entries(amounts).map(([name, amount]) => `--${name}=${amount}`),
    ...host.Ulimits.map(({ Name, Soft, Hard }) => `--ulimit=${Name}=${Soft}:${Hard}`),
    ...host.CapDrop.map((name) => `--cap-drop=${name}`),
    ...host.SecurityOpt.map((name) => `--security-opt=${name}`),
    ...host.Mounts.map(mountOption),
    ...config.Env.map((pair) => `--env=${pair}`),
    `--user=${config.User}`,
    `--workdir=${config.WorkingDir}`,
    `--entrypoint=${container.Path}`,
    `--health-cmd=${config.Healthcheck.Test.slice(1).join(" ")}`,
    `--health-interval=${config.Healthcheck.Interval}ns`,
  ];
  return ["--detach", "--init", ...options, config.Image, ...container.Args];
}

function mountOption({ Type, Source, Target, ReadOnly, VolumeOptions }) {
  const fields = [`type=${Type}`, `source=${Source}`, `target=${Target}`];
  if (ReadOnly) fields.push("readonly");
  if (VolumeOptions?.NoCopy) fields.push("volume-nocopy");
  return `--mount=${fields.join(",")}`;
}
