// Follows the connections of this window's sandboxes: writes each decision down, and asks for the policy when it may
// have changed, because the events tell decisions and not rules.
import type * as vscode from "vscode";
import { methods, type EgressDecision, type SandboxInfo } from "./generated/protocol";
import { decisionKey } from "./egressModel";
import { egressOf, sandboxName, type Input, type Model } from "./model";
import type { Requests } from "./operations";
import type { Projects } from "./projects";
import type { Store } from "./store";
import { decisionLine } from "./view/egress";
import { hasPolicy } from "./view/network";

/** Decisions asked for when a sandbox is seen first. */
const FIRST_DECISIONS = 100;

/** Changes often come several at a time. */
const SOON_MS = 100;

/** How often hits are counted anew while decisions come and somebody looks. */
const COUNT_MS = 1_000;

export interface EgressOptions {
  readonly server: Requests;
  readonly store: Store;
  readonly projects: Projects;
  readonly channel: vscode.OutputChannel;
}

export class Egress {
  readonly #options: EgressOptions;
  readonly #subscriptions: { dispose(): void }[];
  /** What of each sandbox the policy was last asked for. */
  readonly #asked = new Map<string, string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #isVisible = false;

  constructor(options: EgressOptions) {
    this.#options = options;
    const { store, projects } = options;
    this.#subscriptions = [
      store.onInput((input, before) => {
        this.#heard(input, before);
      }),
      // A folder that was added may have a sandbox that runs already.
      projects.onChange(() => {
        for (const sandbox of store.model.sandboxes.values()) {
          if (egressOf(store.model, sandbox.id).report || !this.#mine(sandbox.id)) continue;
          this.#asked.delete(sandbox.id);
          this.#look(sandbox);
        }
      }),
    ];
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Whether somebody looks at rules and hits. */
  setVisible(isVisible: boolean): void {
    this.#isVisible = isVisible;
    if (isVisible) for (const id of this.#asked.keys()) this.#want(id, SOON_MS);
  }

  #heard(input: Input, before: Model): void {
    if (input.type === "server") this.#asked.clear();
    else if (input.type === "snapshot") {
      // Whatever happened while nobody was told of it is in the log.
      this.#asked.clear();
      for (const sandbox of input.sandboxes) this.#look(sandbox);
    } else if (input.type === "sandboxChanged") this.#look(input.sandbox);
    else if (input.type === "sandboxRemoved") this.#asked.delete(input.id);
    // Somebody answered, perhaps with a rule.
    else if (input.type === "egressAsked") this.#want(input.sandboxId, SOON_MS);
    else if (input.type === "egressDecided") this.#decided(input.sandboxId, input.decision, before);
  }

  #decided(sandboxId: string, decision: EgressDecision, before: Model): void {
    const sandbox = this.#mine(sandboxId);
    if (!sandbox) return;
    // One that is told again, with what its connection moved, was written down when it was taken.
    const key = decisionKey(decision);
    const isKnown = egressOf(before, sandboxId).recent.some((known) => decisionKey(known) === key);
    if (!isKnown) this.#options.channel.appendLine(decisionLine(sandboxName(sandbox), decision));
    if (this.#isVisible) this.#want(sandboxId, COUNT_MS);
  }

  #look(sandbox: SandboxInfo): void {
    if (!hasPolicy(sandbox)) {
      this.#asked.delete(sandbox.id);
      return;
    }
    const { enforcement, alarm = "", bypassUntilMs = 0 } = sandbox;
    const state = `${enforcement} ${bypassUntilMs} ${alarm}`;
    const before = this.#asked.get(sandbox.id);
    if (before === state) return;
    this.#asked.set(sandbox.id, state);
    this.#want(sandbox.id, SOON_MS);
    if (before === undefined) void this.#askForLog(sandbox.id);
  }

  #want(sandboxId: string, afterMs: number): void {
    if (this.#timers.has(sandboxId)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(sandboxId);
      void this.#askForPolicy(sandboxId);
    }, afterMs);
    timer.unref();
    this.#timers.set(sandboxId, timer);
  }

  // A sandbox that is gone meanwhile, or a server that is, has no answer, and nobody asked for a message about it.
  async #askForPolicy(sandboxId: string): Promise<void> {
    if (!this.#mine(sandboxId)) return;
    const report = await this.#options.server.request(methods.egressPolicyOf, { sandbox: sandboxId });
    if (report.kind === "ok") this.#options.store.dispatch({ type: "egressReport", sandboxId, report: report.value });
  }

  async #askForLog(sandboxId: string): Promise<void> {
    await this.#options.projects.loaded();
    if (!this.#mine(sandboxId)) return;
    const target = { sandbox: sandboxId };
    const log = await this.#options.server.request(methods.egressLog, {
      target,
      limit: FIRST_DECISIONS,
      blocked: false,
    });
    if (log.kind === "ok") this.#options.store.dispatch({ type: "egressLog", sandboxId, decisions: log.value });
  }

  /** A sandbox of this window. */
  #mine(sandboxId: string): SandboxInfo | undefined {
    const sandbox = this.#options.store.model.sandboxes.get(sandboxId);
    return sandbox && this.#options.projects.all.some(({ path }) => path === sandbox.project) ? sandbox : undefined;
  }
}
