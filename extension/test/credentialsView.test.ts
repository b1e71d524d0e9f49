import { describe, expect, it } from "vitest";
import type { CredentialsStatus } from "../src/generated/protocol";
import { emptyModel, reduce } from "../src/model";
import {
  daysWords,
  loginItem,
  loginLine,
  loginState,
  modeRow,
  sourceRow,
  statusText,
  type LoginState,
} from "../src/view/credentials";
import { statusView } from "../src/view/status";
import { login, mode, sandbox, signedOut, snapshot, source } from "./harness";

/** A status of every state, and what its item says; the compiler asks for the missing ones. */
const states: Record<LoginState, [status: CredentialsStatus, text: string | undefined, severity?: string]> = {
  ok: [login(), undefined],
  expiring: [login({ health: "expiring", daysLeft: 3 }), "$(watch) Claude: login ends in 3 days", "warning"],
  attention: [login({ health: "attention" }), "$(warning) Claude: login needs attention", "warning"],
  conflict: [login({ health: "attention", isInConflict: true }), "$(git-compare) Claude: two logins", "warning"],
  expired: [login({ health: "expired", daysLeft: -1 }), "$(error) Claude: login ended", "error"],
  unreadable: [login({ health: "unreadable" }), "$(lock) Claude: login cannot be read", "warning"],
  signedOut: [signedOut(), "$(account) Claude: sign in", "none"],
};

describe("the login's item", () => {
  it.each(Object.entries(states))("when it is %s", (state, [status, text, severity]) => {
    expect(loginState(status)).toBe(state);
    const item = loginItem(status);
    expect([item?.text, item?.severity]).toEqual([text, severity]);
    if (item && text !== undefined) expect(item.label).toBe(`Boxwood login, ${text.replace(/^\$\(\S+\) /, "")}`);
  });

  it("is not there before anything is known", () => {
    expect(loginItem(undefined)).toBeUndefined();
    expect(loginLine(undefined)).toEqual([]);
  });

  it("says the next step, and gives foreign text no meaning", () => {
    const item = loginItem(login({ health: "expired", detail: "[x](command:evil)", nextStep: "sign in again" }));
    expect(item?.tooltip).toBe(
      "**\\[x\\]\\(command\\:evil\\)\\.**\n\n$(arrow-right) Sign in again\\.\n\nClick for the menu",
    );
  });
});

describe("the tooltip of the window's item", () => {
  const after = (status: CredentialsStatus) =>
    [
      { type: "server", phase: "running" } as const,
      snapshot(sandbox({ state: "stopped" })),
      { type: "credentials", status } as const,
    ].reduce(reduce, emptyModel);

  it("has a line about the login, also without a folder", () => {
    const line = "$(account) Login: signed in · ada@example\\.com \\(max\\) · isolated · ends in 29 days";
    const model = after(login({ daysLeft: 29 }));
    expect(statusView(model, "/home/ada/shop").tooltip.endsWith(`\n\n${line}`)).toBe(true);
    expect(statusView(model, undefined).tooltip).toContain(line);
  });

  it("names the source of what is no account's", () => {
    const key = login({
      account: {},
      source: "storedKey",
      mode: "brokered",
      sources: [source({ source: "storedKey", title: "stored API key" })],
    });
    expect(loginLine(key)).toEqual(["$(account) Login: signed in · stored API key · brokered"]);
    expect(loginLine(signedOut())).toEqual(["$(account) Login: sign in"]);
  });

  it("forgets the login with the server", () => {
    const gone = reduce(after(login()), { type: "server", phase: "connecting" });
    expect(gone.credentials).toBeUndefined();
  });
});

describe("rows", () => {
  it("of sources say whether and why they are used", () => {
    expect(sourceRow(source())).toEqual({
      label: "$(pass) login made with Boxwood",
      description: "used",
      detail: "The first that is there.",
    });
    const words = (["available", "byChoice", "unusable", "absent"] as const).map(
      (usage) => sourceRow(source({ usage })).description,
    );
    expect(words).toEqual(["there", "by choice", "cannot be used", "none"]);
  });

  it("of modes say what the sandbox holds, and what stands in the way", () => {
    expect(modeRow(mode(), "isolated")).toEqual({
      label: "$(pass) isolated",
      description: "used, default",
      detail: "The sandbox holds a login of its own.",
    });
    expect(modeRow(mode({ isDefault: false, explanation: "x" }), "token").description).toBe(
      "explained before it is chosen",
    );
    expect(modeRow(mode({ isDefault: false, isAvailable: false }), undefined)).toMatchObject({
      label: "$(circle-slash) isolated",
      description: "not possible here as it is",
    });
  });

  it("count days as coarsely as they are known", () => {
    expect([undefined, -1, 0, 1, 7].map(daysWords)).toEqual([
      "soon",
      "within a day",
      "within a day",
      "in 1 day",
      "in 7 days",
    ]);
  });
});

describe("the text", () => {
  it("has everything that is known", () => {
    const status = login({
      sandbox: "shop-0a1b2c3d",
      expiresAtMs: Date.UTC(2026, 2, 31),
      lastRefreshMs: Date.UTC(2026, 2, 1),
      warnings: ["a warning"],
      modes: [mode()],
    });
    expect(statusText(status)).toBe(
      [
        "Claude's login, of sandbox shop-0a1b2c3d",
        "  login    signed in; held as 'isolated'",
        "  account  ada@example.com (max)",
        "  source   login made with Boxwood",
        "  mode     isolated",
        "  ends     2026-03-31",
        "  renewed  2026-03-01",
        "  warning  a warning",
        "Sources, in the order in which they are asked",
        "  loginHome: used (login made with Boxwood; the first that is there)",
        "Modes",
        "  isolated (used, default): a login of its own",
        "",
      ].join("\n"),
    );
    expect(statusText(signedOut())).toContain("of new sandboxes\n  login    there is no login and no key");
  });
});
