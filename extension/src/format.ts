// Numbers, paths and foreign text as they are shown.

/** 1536 MiB as "1.5 GiB". */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? "B"}`;
}

/** Text from elsewhere, with everything taken out that Markdown would give a meaning to. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~$&:]/g, "\\$&").replace(/\s+/g, " ");
}

/** Titles of the commands that stand here for those of the terminal, which the server names. */
const commandTitles: readonly (readonly [RegExp, string])[] = [
  [/'boxwood start'/g, "'Start Claude Sandbox'"],
  [/'boxwood (?:login|login --replace)'/g, "'Sign in to Claude'"],
  [/'boxwood credentials status'/g, "'Show Credential Status'"],
  [/'boxwood credentials mode(?: \w+)?'/g, "'Switch Credential Mode'"],
  [/'boxwood git approvals'/g, "'Git Credentials'"],
  [/'boxwood egress policy'/g, "'Show Egress'"],
  [/'boxwood logs'/g, "'Show Logs'"],
  [/'boxwood (?:prune|cleanup-all)'/g, "'Clean Up'"],
  [/'boxwood doctor'/g, "'Doctor'"],
  [/'boxwood refresh'/g, "'Refresh'"],
  [/'boxwood restart'/g, "'Restart'"],
  [/'boxwood stop'/g, "'Stop'"],
];

/** A sentence from a fragment: capital at the start, full stop at the end, and commands by the names they have here. */
export function sentence(fragment: string): string {
  const trimmed = commandTitles.reduce((text, [command, title]) => text.replace(command, title), fragment.trim());
  if (trimmed === "") return "";
  const start = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : count > 1 && noun.endsWith("x") ? "es" : "s"}`;
}

/** The last part of a path of either system. */
export function baseName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).pop() ?? path;
}

/** A host and a port in one text; none for port 0, which stands for no port. */
export function hostPort(host: string, port: number): string {
  if (port === 0) return host;
  return host.includes(":") && !host.startsWith("[") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Time that is left, as coarse as it may be: "9 min", "1 h". */
export function timeLeft(untilMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.ceil((untilMs - nowMs) / 1000));
  if (seconds <= 60) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : minutes === 60 ? "1 h" : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Time of day, as this machine's clock shows it. */
export function clock(ms: number): string {
  const time = new Date(ms);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** Day and time, as this machine's clock shows them. */
export function stamp(ms: number): string {
  const time = new Date(ms);
  const day = [time.getFullYear(), time.getMonth() + 1, time.getDate()];
  return `${day.map((part) => String(part).padStart(2, "0")).join("-")} ${clock(ms)}`;
}
