// How Claude's login is told of, for every state. Pure: the same status gives the same words.
import { escapeMarkdown, plural, sentence } from "../format";
import type {
  CredentialHealth,
  CredentialMode,
  CredentialModeReport,
  CredentialSourceReport,
  CredentialsStatus,
  CredentialUse,
} from "../generated/protocol";
import type { Severity } from "./status";

/** Two logins that differ come before whatever else there is to say. */
export type LoginState = CredentialHealth | "conflict";

export function loginState(status: CredentialsStatus): LoginState {
  return status.isInConflict ? "conflict" : status.health;
}

export interface LoginItem {
  readonly text: string;
  readonly severity: Severity;
  /** For screen readers: the same without icons. */
  readonly label: string;
  /** Markdown, with theme icons. */
  readonly tooltip: string;
}

const faces: Record<LoginState, { icon: string; severity: Severity }> = {
  ok: { icon: "account", severity: "none" },
  expiring: { icon: "watch", severity: "warning" },
  attention: { icon: "warning", severity: "warning" },
  conflict: { icon: "git-compare", severity: "warning" },
  expired: { icon: "error", severity: "error" },
  unreadable: { icon: "lock", severity: "warning" },
  // Whoever begins is signed out, which is no fault.
  signedOut: { icon: "account", severity: "none" },
};

function words(status: CredentialsStatus): string {
  const state = loginState(status);
  switch (state) {
    case "ok":
      return "signed in";
    case "expiring":
      return `login ends ${daysWords(status.daysLeft)}`;
    case "attention":
      return "login needs attention";
    case "conflict":
      return "two logins";
    case "expired":
      return "login ended";
    case "unreadable":
      return "login cannot be read";
    case "signedOut":
      return "sign in";
  }
}

/** "in 3 days"; a last day is counted in nothing smaller. */
export function daysWords(days: number | undefined): string {
  if (days === undefined) return "soon";
  return days <= 0 ? "within a day" : `in ${plural(days, "day")}`;
}

/** The status bar item of its own that the login gets when something is wrong with it. */
export function loginItem(status: CredentialsStatus | undefined): LoginItem | undefined {
  if (!status || loginState(status) === "ok") return undefined;
  const { icon, severity } = faces[loginState(status)];
  const text = `Claude: ${words(status)}`;
  const next = status.nextStep === undefined ? [] : [`$(arrow-right) ${escapeMarkdown(sentence(status.nextStep))}`];
  return {
    text: `$(${icon}) ${text}`,
    severity,
    label: `Boxwood login, ${text}`,
    tooltip: [`**${escapeMarkdown(sentence(status.detail))}**`, ...next, "Click for the menu"].join("\n\n"),
  };
}

/** The login's line, in Markdown, below whatever else is told. */
export function loginLine(status: CredentialsStatus | undefined): string[] {
  if (!status) return [];
  const parts = [words(status), whoseWords(status), status.mode, lastsWords(status)];
  const said = parts.filter((part) => part !== undefined && part !== "").map((part) => escapeMarkdown(part ?? ""));
  return [`$(${faces[loginState(status)].icon}) Login: ${said.join(" · ")}`];
}

/** Whose login it is, or else where it comes from. */
export function whoseWords({ account, source, sources }: CredentialsStatus): string | undefined {
  const name = account?.email ?? account?.id;
  if (name !== undefined) return account?.subscription === undefined ? name : `${name} (${account.subscription})`;
  return sources.find((report) => report.source === source)?.title;
}

function lastsWords(status: CredentialsStatus): string | undefined {
  if (status.health !== "ok" || status.daysLeft === undefined || status.daysLeft < 0) return undefined;
  return `ends ${daysWords(status.daysLeft)}`;
}

const useWords: Record<CredentialUse, string> = {
  chosen: "used",
  available: "there",
  byChoice: "by choice",
  unusable: "cannot be used",
  absent: "none",
};

const useIcons: Record<CredentialUse, string> = {
  chosen: "pass",
  available: "circle-outline",
  byChoice: "circle-outline",
  unusable: "warning",
  absent: "dash",
};

export interface Row {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

export function sourceRow({ title, usage, reason }: CredentialSourceReport): Row {
  return { label: `$(${useIcons[usage]}) ${title}`, description: useWords[usage], detail: sentence(reason) };
}

/** A mode: what the sandbox then holds is what tells it from the others. */
export function modeRow(report: CredentialModeReport, inUse: CredentialMode | undefined): Row {
  const isUsed = report.mode === inUse;
  const notes = [
    ...(isUsed ? ["used"] : []),
    ...(report.isDefault ? ["default"] : []),
    ...(report.isAvailable ? [] : ["not possible here as it is"]),
    ...(report.explanation === undefined || isUsed ? [] : ["explained before it is chosen"]),
  ];
  return {
    label: `$(${isUsed ? "pass" : report.isAvailable ? "circle-outline" : "circle-slash"}) ${report.mode}`,
    description: notes.join(", "),
    detail: `The sandbox holds ${report.holds}.`,
  };
}

/** What a sandbox holds in a mode, for when the server has not said it of the source in question. */
export const modeWords: Record<CredentialMode, string> = {
  brokered: "A placeholder; the gateway puts the real credential on requests to the API",
  isolated: "A login of its own, made inside by Claude Code",
  token: "What requests need, and nothing that renews it",
  sync: "A copy of the login, kept the same on both sides",
};

/** Everything as text; there is no value in a status. */
export function statusText(status: CredentialsStatus): string {
  const of = status.sandbox === undefined ? "new sandboxes" : `sandbox ${status.sandbox}`;
  const facts = [
    ["login", status.detail],
    ["account", status.account === undefined ? undefined : whoseWords(status)],
    ["source", status.sources.find(({ source }) => source === status.source)?.title],
    ["mode", status.mode],
    ["ends", status.expiresAtMs === undefined ? undefined : day(status.expiresAtMs)],
    ["renewed", status.lastRefreshMs === undefined ? undefined : day(status.lastRefreshMs)],
    ["next", status.nextStep],
    ...status.warnings.map((warning) => ["warning", warning]),
  ].flatMap(([name, value]) => (value === undefined ? [] : [`  ${(name ?? "").padEnd(8)} ${value}`]));
  const sources = status.sources.map(
    ({ source, usage, title, reason }) => `  ${source}: ${useWords[usage]} (${title}; ${reason})`,
  );
  const modes = status.modes.map((report) => {
    const row = modeRow(report, status.mode);
    return `  ${report.mode}${row.description === "" ? "" : ` (${row.description})`}: ${report.holds}`;
  });
  const parts = [`Claude's login, of ${of}`, ...facts, "Sources, in the order in which they are asked", ...sources];
  return `${[...parts, ...(modes.length > 0 ? ["Modes", ...modes] : [])].join("\n")}\n`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
