// One editor window as a person sees it: palette, status bar, notifications, terminal, dialogs.
// Class names are those of VS Code 1.99; they stand in this file only.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SOON } from "./wait.mjs";

/** So many letters and digits of a typed line tell it from what was on the screen before. */
const ECHOED = 12;

/** How long a window may take to load. */
const LOADED = 120_000;

export const ARTIFACTS = fileURLToPath(new URL("../../../artifacts/editor/", import.meta.url));

/** Runs in the page. Everything that the tests ask about, as plain data. */
function readScreen() {
  const visible = (element) => element.getClientRects().length > 0;
  const texts = (selector) => [...document.querySelectorAll(selector)].filter(visible).map((element) => element.innerText.trim());
  // The label of an item repeats its text and adds the tooltip; icons have no text of their own.
  const statusBar = [...document.querySelectorAll(".statusbar-item")].filter(visible).map((item) => {
    const label = item.querySelector("[aria-label]")?.getAttribute("aria-label") ?? item.getAttribute("aria-label") ?? "";
    const icons = [...item.querySelectorAll(".codicon")].map((icon) => [...icon.classList].filter((name) => name.startsWith("codicon-")).join(" "));
    return { id: item.id, text: item.textContent.trim(), label, icons: icons.join(" "), kind: item.className };
  });
  return {
    statusBar,
    notifications: texts(".notification-list-item"),
    terminal: [...document.querySelectorAll(".terminal-wrapper.active .xterm-rows > div")].map((row) => row.textContent.replaceAll("\u00a0", " ").trimEnd()).join("\n"),
    terminals: texts(".terminal-tabs-entry, .single-terminal-tab"),
    picks: texts(".quick-input-widget .monaco-list-row"),
    input: texts(".quick-input-widget .quick-input-message, .quick-input-widget .quick-input-title").join(" "),
    question: texts(".quick-input-widget .quick-input-message, .quick-input-widget .quick-input-box").join(" "),
    dialog: texts(".monaco-dialog-box").join(" "),
    tree: texts(".pane-body .monaco-list-row"),
    tabs: texts(".tabs-container .tab"),
    panel: texts(".part.panel").join(" "),
    sideBar: texts(".part.sidebar").join(" "),
  };
}

/**
 * Runs in the page, before anything else. Notes whatever the status bar and the notifications say at any time, for
 * what is there so briefly that a busy machine may not look in time.
 */
function recordScreen() {
  const seen = (globalThis.boxwoodSeen = []);
  const note = () => {
    for (const element of document.querySelectorAll(".statusbar-item, .notification-list-item")) {
      const text = element.textContent.trim();
      if (text !== "" && !seen.includes(text)) seen.push(text);
    }
  };
  new MutationObserver(note).observe(document, { subtree: true, childList: true, characterData: true });
}

/** Like String.match, over everything that the item shows or says to a screen reader. */
function itemMatches(item, pattern) {
  return [item.text, item.label].some((value) => pattern.test(value));
}

export class Window {
  constructor(page) {
    this.page = page;
  }

  static async open(context, url) {
    const page = await context.newPage();
    page.setDefaultTimeout(SOON);
    await page.addInitScript(recordScreen);
    await page.goto(url, { waitUntil: "domcontentloaded", timeout: LOADED });
    const window = new Window(page);
    await window.ready();
    return window;
  }

  /** The workbench is there and its remote connection works: the status bar shows the host's indicator. */
  async ready() {
    await this.page.locator(".monaco-workbench .statusbar-item").first().waitFor({ timeout: LOADED });
    await this.page.locator("#status\\.host").waitFor({ timeout: LOADED });
  }

  async reload() {
    await this.page.reload({ waitUntil: "domcontentloaded", timeout: LOADED });
    await this.ready();
  }

  close() {
    return this.page.close();
  }

  screen() {
    return this.page.evaluate(readScreen);
  }

  /**
   * Waits until `probe`, given the screen, answers with something truthy, and returns that.
   * The error of a wait in vain says what was on the screen instead.
   * @param {{timeout?: number, unless?: RegExp}} options unless: a notification that makes further waiting pointless
   */
  async see(what, probe, { timeout = SOON, unless } = {}) {
    const deadline = performance.now() + timeout;
    for (;;) {
      const screen = await this.screen();
      const value = await probe(screen);
      if (value) return value;
      const fault = unless && screen.notifications.find((text) => unless.test(text));
      if (fault) throw new Error(`instead of ${what} there came the notification: ${fault}`);
      if (performance.now() > deadline) throw new Error(`waited ${timeout} ms in vain for ${what}; the screen says ${summary(screen)}`);
      // One painted frame: nothing can have changed on the screen before it.
      await this.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => resolve())));
    }
  }

  /** Whether `probe` is satisfied within the time; for what may also come in another way. */
  sees(probe, options) {
    return this.see("it", probe, options).then(() => true, () => false);
  }

  /**
   * Begins to note what the status bar and notifications say.
   * @returns {Promise<(pattern: RegExp) => Promise<string>>} waits until it is being said, or has been since
   */
  async record() {
    await this.page.evaluate(() => {
      globalThis.boxwoodSeen.length = 0;
    });
    return (pattern) =>
      this.see(`${pattern}, at any time since`, async () => (await this.page.evaluate(() => globalThis.boxwoodSeen)).find((text) => pattern.test(text)));
  }

  /** @param {RegExp} pattern of the item's text or accessible label */
  statusBarItem(pattern, options) {
    return this.see(`a status bar item ${pattern}`, (screen) => screen.statusBar.find((item) => itemMatches(item, pattern)), options);
  }

  noStatusBarItem(pattern, options) {
    return this.see(`no status bar item ${pattern}`, (screen) => !screen.statusBar.some((item) => itemMatches(item, pattern)), options);
  }

  async clickStatusBarItem(pattern) {
    const { id } = await this.statusBarItem(pattern);
    await this.page.locator(`[id="${id}"] a`).first().click();
  }

  /** What the tooltip of a status bar item says; the pointer rests on it. */
  async statusBarTooltip(pattern) {
    const hover = this.page.locator(".monaco-hover:visible, .workbench-hover:visible").first();
    const deadline = performance.now() + SOON;
    // It goes when the item changes under it, so it is asked for again.
    for (;;) {
      const { id } = await this.statusBarItem(pattern);
      await this.page.locator(`[id="${id}"]`).hover();
      const text = await hover.innerText({ timeout: 5_000 }).catch(() => "");
      await this.page.mouse.move(640, 300);
      if (text !== "") return text;
      if (performance.now() > deadline) throw new Error(`the status bar item ${pattern} has no tooltip`);
    }
  }

  notification(pattern, options) {
    return this.see(`a notification ${pattern}`, (screen) => screen.notifications.find((text) => pattern.test(text)), options);
  }

  async clickNotification(pattern, button) {
    await this.notification(pattern);
    await this.page.locator(".notification-list-item").filter({ hasText: pattern }).first().locator(".monaco-button, .action-label, .notification-list-item-message a").filter({ hasText: button }).first().click();
  }

  /** Closes what a command may have opened: dialog, list, notifications. */
  async clear() {
    for (let i = 0; i < 2; i += 1) await this.page.keyboard.press("Escape");
    await this.palette("Notifications: Clear All Notifications");
    await this.see("nothing in front", ({ notifications, dialog, picks }) => notifications.length + dialog.length + picks.length === 0);
  }

  /** A modal dialog of the workbench. */
  dialog(pattern, options) {
    return this.see(`a dialog ${pattern}`, (screen) => pattern.test(screen.dialog) && screen.dialog, options);
  }

  async clickDialog(pattern, button) {
    await this.dialog(pattern);
    await this.page.locator(".monaco-dialog-box .monaco-button").filter({ hasText: button }).first().click();
  }

  /** Opens the palette and runs the command with exactly this title. */
  async palette(title) {
    const row = await this.paletteRow(title);
    await row.click();
  }

  /** The palette's row of a command; the palette stays open. */
  async paletteRow(title, { timeout = SOON } = {}) {
    const input = this.page.locator(".quick-input-widget input[type=text]").first();
    const row = this.page.locator(".quick-input-widget .monaco-list-row .label-name").filter({ hasText: new RegExp(`^${escape(title)}$`) }).first();
    const deadline = performance.now() + timeout;
    // The palette lists what is registered at the moment it opens, so a young window is asked again.
    for (;;) {
      await this.page.keyboard.press("F1");
      await input.waitFor({ timeout: SOON });
      await input.fill(`>${title}`);
      if (await appears(row, 2_000)) return row;
      if (performance.now() > deadline) throw new Error(`the palette does not list "${title}"; it lists ${JSON.stringify((await this.screen()).picks)}`);
      await this.dismiss();
    }
  }

  async dismiss() {
    await this.page.keyboard.press("Escape");
  }

  /** The rows of the open quick pick. */
  picks(pattern, options) {
    return this.see(`a pick ${pattern}`, (screen) => screen.picks.some((text) => pattern.test(text)) && screen.picks, options);
  }

  async pick(pattern) {
    await this.picks(pattern);
    await this.page.locator(".quick-input-widget .monaco-list-row").filter({ hasText: pattern }).first().click();
  }

  /** Types into the box that asks for something, and Enter. */
  async answer(text) {
    const input = this.page.locator(".quick-input-box input").first();
    await input.waitFor();
    await input.fill(text);
    await input.press("Enter");
  }

  /** Does something that opens a page in the browser, and gives the page. */
  async opening(act) {
    const [page] = await Promise.all([this.page.context().waitForEvent("page", { timeout: SOON }), act()]);
    await page.waitForLoadState("domcontentloaded");
    return page;
  }

  /** The inline action of a row in the side bar. */
  async treeAction(row, action) {
    const line = this.page.locator(".sidebar .monaco-list-row").filter({ hasText: row }).first();
    const button = line.locator(`.action-label[aria-label^="${action}"]`).first();
    const deadline = performance.now() + SOON;
    // A row that moves away under the pointer hides its actions, and is pointed at again.
    for (;;) {
      await line.hover();
      const isClicked = await button.click({ timeout: 1_000 }).then(() => true, () => false);
      if (isClicked) return;
      if (performance.now() > deadline) throw new Error(`the row ${row} has no action "${action}"`);
    }
  }

  /** Unfolds a row of the side bar that is folded. */
  async treeUnfold(row) {
    const line = this.page.locator(".sidebar .monaco-list-row").filter({ hasText: row }).first();
    if ((await line.getAttribute("aria-expanded")) === "false") await line.click();
  }

  terminal(pattern, options) {
    return this.see(`terminal text ${pattern}`, (screen) => pattern.test(screen.terminal) && screen.terminal, options);
  }

  async type(text) {
    await this.page.locator(".terminal-wrapper.active .xterm").first().click();
    // A palette that has just closed gives the focus back to where it was, perhaps after the click.
    await this.page.waitForFunction(() => document.activeElement?.matches(".terminal-wrapper.active .xterm-helper-textarea"));
    await this.page.keyboard.type(text, { delay: 10 });
  }

  async typeLine(text) {
    await this.type(text);
    // What is not on the screen yet has not been read yet. Its end is enough: long lines are broken and redrawn.
    await this.see(`the typed text "${text}"`, ({ terminal }) => letters(terminal).includes(letters(text).slice(-ECHOED)));
    await this.page.keyboard.press("Enter");
  }

  /** @returns the path of the picture under artifacts/editor */
  async screenshot(name, file = path.join(ARTIFACTS, `${name}.png`)) {
    mkdirSync(path.dirname(file), { recursive: true });
    await this.page.screenshot({ path: file });
    return file;
  }
}

/** The screen in an error message: what the product shows, without the editor's own furniture. */
function summary(screen) {
  const statusBar = screen.statusBar.map(({ text, label }) => (text === label ? text : `${text} (${label})`));
  return JSON.stringify({ ...screen, statusBar }, null, 1);
}

async function appears(locator, timeout) {
  return locator.waitFor({ timeout }).then(() => true, () => false);
}

function letters(text) {
  return text.replace(/[^\p{L}\p{N}]/gu, "");
}

function escape(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
