// Messages about Claude's login: that it ends soon or has ended, once a day at most; and that there are two, once.
import * as vscode from "vscode";
import type { App } from "./app";
import { sentence } from "./format";
import type { CredentialsStatus } from "./generated/protocol";
import { sandboxName } from "./model";
import { daysWords, loginState, whoseWords } from "./view/credentials";

/** Where the day of the last message is kept; all windows share it. */
const TOLD = "boxwood.loginToldOn";

const [SIGN_IN, STATUS] = ["Sign In", "Show Status"];
export const KEEP_HOST = "Keep This Machine's";
export const KEEP_SANDBOX = "Keep the Sandbox's";

/** What outlives the window. */
export interface Memory {
  get(key: string): unknown;
  update(key: string, value: unknown): Thenable<void>;
}

export class LoginMessages {
  readonly #app: App;
  readonly #memory: Memory;
  readonly #subscription: { dispose(): void };
  /** The conflict that was told: whose it is, and what was said. */
  #conflict: string | undefined;
  /** Kept here too, because what other windows write arrives late. */
  #toldOn: string | undefined;

  constructor(app: App, memory: Memory) {
    this.#app = app;
    this.#memory = memory;
    this.#subscription = app.store.onChange(({ credentials }) => {
      if (credentials) this.#look(credentials);
    });
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  #look(status: CredentialsStatus): void {
    const state = loginState(status);
    const conflict = state === "conflict" ? `${status.sandbox ?? ""} ${status.detail}` : undefined;
    if (conflict !== undefined && conflict !== this.#conflict) void this.#tellConflict(status);
    this.#conflict = conflict;
    if (state === "expiring" || state === "expired") this.#tellEnd(status);
  }

  #tellEnd(status: CredentialsStatus): void {
    const today = new Date().toDateString();
    if (this.#toldOn === today || this.#memory.get(TOLD) === today) return;
    this.#toldOn = today;
    void this.#memory.update(TOLD, today);
    const whose = whoseWords(status);
    const login = whose === undefined ? "Claude's login" : `Claude's login (${whose})`;
    const isOver = status.health === "expired";
    const what = isOver ? sentence(status.detail) : `${login} ends ${daysWords(status.daysLeft)}.`;
    const text = isOver ? `${login}: ${what}` : what;
    void this.#offer(vscode.window.showWarningMessage(text, SIGN_IN, STATUS));
  }

  async #tellConflict(status: CredentialsStatus): Promise<void> {
    const { model } = this.#app.store;
    const sandbox = status.sandbox === undefined ? undefined : model.sandboxes.get(status.sandbox);
    const name = sandbox ? `'${sandboxName(sandbox)}'` : "the sandbox";
    const text = `This machine and ${name} have different logins of Claude. ${sentence(status.detail)} Keep one; the other one stays as a backup.`;
    const target = status.sandbox === undefined ? {} : { sandboxId: status.sandbox };
    await this.#offer(vscode.window.showWarningMessage(text, KEEP_HOST, KEEP_SANDBOX, STATUS), target);
  }

  async #offer(shown: Thenable<string | undefined>, target: object = {}): Promise<void> {
    const command = commands[(await shown) ?? ""];
    if (command) await vscode.commands.executeCommand(command, target);
  }
}

const commands: Readonly<Partial<Record<string, string>>> = {
  [SIGN_IN]: "boxwood.signIn",
  [STATUS]: "boxwood.showCredentialStatus",
  [KEEP_HOST]: "boxwood.keepHostLogin",
  [KEEP_SANDBOX]: "boxwood.keepSandboxLogin",
};
