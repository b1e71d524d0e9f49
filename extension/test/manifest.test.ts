import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import manifest from "../package.json";
import { handlers } from "../src/commands";
import { menuFor } from "../src/commands/menu";
import type { CredentialsStatus, SandboxConfig } from "../src/generated/protocol";
import { emptyModel, reduce, type Input, type Model } from "../src/model";
import { sandboxSettings } from "../src/settings";
import { login, sandbox, signedOut, snapshot } from "./harness";

const root = fileURLToPath(new URL("..", import.meta.url));
const { contributes } = manifest;
const declared = contributes.commands.map(({ command }) => command);
const editorCommands = ["vscode.openFolder", "workbench.action.openSettings", "boxwood.sandboxes.focus"];

// A line per setting of the contract; the compiler asks for the missing ones.
const settings: Record<keyof SandboxConfig, true> = {
  variant: true,
  image: true,
  dockerfile: true,
  lifetime: true,
  memory: true,
  cpus: true,
  pids: true,
  nofile: true,
  network: true,
  workspacePath: true,
  env: true,
  protectedPaths: true,
  egress: true,
  maskedPaths: true,
  readOnlyMounts: true,
  claudeArgs: true,
  hostLogin: true,
  sshAgent: true,
};

describe("commands", () => {
  it("in the table are those in the manifest", () => {
    expect(Object.keys(handlers).sort()).toEqual([...declared].sort());
  });

  it("are named as they are documented", () => {
    const titles = Object.fromEntries(
      contributes.commands.map(({ command, title, ...rest }) => [
        command,
        "category" in rest ? `${rest.category}: ${title}` : title,
      ]),
    );
    expect(titles).toEqual({
      "boxwood.start": "Start Claude Sandbox",
      "boxwood.attach": "Boxwood: Attach",
      "boxwood.stop": "Boxwood: Stop",
      "boxwood.restart": "Boxwood: Restart",
      "boxwood.refresh": "Boxwood: Refresh",
      "boxwood.remove": "Boxwood: Remove",
      "boxwood.showLogs": "Boxwood: Show Logs",
      "boxwood.openShell": "Boxwood: Open Shell",
      "boxwood.doctor": "Boxwood: Doctor",
      "boxwood.restartServer": "Boxwood: Restart Server",
      "boxwood.cleanUp": "Boxwood: Clean Up",
      "boxwood.showMenu": "Boxwood: Show Menu",
      "boxwood.insertTemplate": "Insert Devcontainer Template",
      "boxwood.showEgress": "Boxwood: Show Egress",
      "boxwood.showEgressLog": "Boxwood: Show Egress Log",
      "boxwood.allowHost": "Boxwood: Allow Host…",
      "boxwood.denyHost": "Boxwood: Deny Host…",
      "boxwood.forgetHost": "Boxwood: Forget Decision…",
      "boxwood.testHost": "Boxwood: Test Host…",
      "boxwood.bypassEgress": "Boxwood: Bypass Egress…",
      "boxwood.endBypass": "Boxwood: End Bypass",
      "boxwood.answerAllowOnce": "Boxwood: Allow Once",
      "boxwood.answerAllowSession": "Boxwood: Allow for Session",
      "boxwood.answerAllowProject": "Boxwood: Allow in Project",
      "boxwood.answerDeny": "Boxwood: Deny",
      "boxwood.answerDenyAlways": "Boxwood: Always Deny",
      "boxwood.signIn": "Boxwood: Sign in to Claude",
      "boxwood.signOut": "Boxwood: Sign Out",
      "boxwood.switchCredentialMode": "Boxwood: Switch Credential Mode",
      "boxwood.setApiKey": "Boxwood: Set API Key",
      "boxwood.showCredentialStatus": "Boxwood: Show Credential Status",
      "boxwood.keepHostLogin": "Boxwood: Keep This Machine's Login",
      "boxwood.keepSandboxLogin": "Boxwood: Keep the Sandbox's Login",
      "boxwood.gitCredentials": "Boxwood: Git Credentials",
      "boxwood.allowGitCredential": "Boxwood: Allow Git Credential",
      "boxwood.denyGitCredential": "Boxwood: Deny Git Credential",
    });
  });

  it("in menus exist", () => {
    const used = Object.values(contributes.menus)
      .flat()
      .map(({ command }) => command);
    expect(used.filter((command) => !declared.includes(command))).toEqual([]);
  });

  it("of every row of the egress view have a row", () => {
    const contexts = [...JSON.stringify(contributes.menus).matchAll(/viewItem == (egress\.[\w.]+)/g)].map(
      (match) => match[1],
    );
    const known = ["ask", "blocked", "refused", "allowed", "rule.kept", "rule.fixed", "bypass"].map(
      (name) => `egress.${name}`,
    );
    expect([...new Set(contexts)].sort()).toEqual(known.sort());
  });

  it("behind links in welcome and walkthrough exist", () => {
    const text = JSON.stringify([contributes.viewsWelcome, contributes.walkthroughs]);
    const linked = [...text.matchAll(/\(command:([\w.]+)/g)].map((match) => match[1] ?? "");
    expect(linked.length).toBeGreaterThan(0);
    expect(linked.filter((command) => ![...declared, ...editorCommands].includes(command))).toEqual([]);
  });

  it("offered by the status bar's menu exist, the best one first", () => {
    const after = (...inputs: Input[]): Model => inputs.reduce(reduce, emptyModel);
    const running: Input = { type: "server", phase: "running" };
    const project = "/home/ada/shop";
    const ofLogin = (status: CredentialsStatus): Input => ({ type: "credentials", status });
    const cases: [Model, string | undefined, string][] = [
      [after({ type: "server", phase: "failed" }), project, "boxwood.restartServer"],
      [after(running), project, "boxwood.doctor"],
      [after(running, snapshot()), undefined, "vscode.openFolder"],
      [after(running, snapshot()), project, "boxwood.start"],
      [after(running, snapshot(sandbox())), project, "boxwood.attach"],
      [after(running, snapshot(sandbox({ state: "stopped" }))), project, "boxwood.start"],
      [after(running, snapshot(sandbox()), ofLogin(login())), project, "boxwood.attach"],
      [after(running, snapshot(), ofLogin(signedOut())), undefined, "boxwood.signIn"],
      [after(running, snapshot(), ofLogin(login({ health: "expiring" }))), project, "boxwood.signIn"],
      [after(running, snapshot(), ofLogin(login({ health: "expired" }))), project, "boxwood.signIn"],
      [after(running, snapshot(), ofLogin(login({ health: "unreadable" }))), project, "boxwood.showCredentialStatus"],
      [after(running, snapshot(), ofLogin(login({ health: "attention" }))), project, "boxwood.showCredentialStatus"],
      [after(running, snapshot(), ofLogin(login({ isInConflict: true }))), project, "boxwood.keepHostLogin"],
    ];
    for (const [model, at, first] of cases) {
      const offered = menuFor(model, at).map(({ command }) => command);
      expect(offered[0]).toBe(first);
      expect(offered.filter((command) => ![...declared, ...editorCommands].includes(command))).toEqual([]);
    }
  });
});

describe("settings", () => {
  const properties: Record<string, { scope: string; markdownDescription: string }> =
    contributes.configuration.properties;

  it("are the server's and the editor's own", () => {
    expect(sandboxSettings(manifest).sort()).toEqual(Object.keys(settings).sort());
    const own = Object.keys(properties).filter((name) => name.startsWith("boxwood.editor."));
    expect(own).toEqual([
      "boxwood.editor.serverPath",
      "boxwood.editor.terminalLocation",
      "boxwood.editor.egressNotifications",
    ]);
  });

  it("are all described", () => {
    expect(Object.entries(properties).filter(([, { markdownDescription }]) => !markdownDescription)).toEqual([]);
  });

  it("let no workspace choose the program that runs", () => {
    expect(properties["boxwood.editor.serverPath"]?.scope).toBe("machine");
  });
});

describe("files", () => {
  it("that the manifest names exist", () => {
    const named = [
      manifest.icon,
      ...contributes.viewsContainers.activitybar.map(({ icon }) => icon),
      ...contributes.jsonValidation.map(({ url }) => url),
      ...contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.markdown)),
      "README.md",
      "CHANGELOG.md",
      "LICENSE.txt",
    ];
    expect(named.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  });
});
