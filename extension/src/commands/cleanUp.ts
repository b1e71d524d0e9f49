// Clean Up: shows what would go, asks, removes it.
import * as vscode from "vscode";
import type { App } from "../app";
import { bytes, plural } from "../format";
import { methods, type PruneReport } from "../generated/protocol";
import { operate } from "../progress";
import { cancelled, done, type Result } from "../result";

const LISTED = 12;

interface Scope {
  readonly label: string;
  readonly detail: string;
  readonly method: typeof methods.prune | typeof methods.cleanupAll;
}

const scopes: readonly Scope[] = [
  {
    label: "$(clear-all) Remove what is unused",
    detail: "Stopped sandboxes, images and runtime volumes of earlier versions, leftovers",
    method: methods.prune,
  },
  {
    label: "$(trash) Remove everything Boxwood made",
    detail: "All sandboxes, also running ones, all images and volumes; conversations stay on disk",
    method: methods.cleanupAll,
  },
];

export async function cleanUp(app: App): Promise<Result<unknown>> {
  const scope = await vscode.window.showQuickPick([...scopes], { title: "Clean Up" });
  if (!scope) return cancelled;
  const { method } = scope;
  const preview = await operate(app, {
    title: "Looking for what can go",
    method,
    params: { dryRun: true },
    isQuiet: true,
  });
  if (preview.kind !== "ok") return preview;
  const names = listed(preview.value);
  if (names.length === 0) {
    void vscode.window.showInformationMessage("Nothing to clean up.");
    return done;
  }
  const remove = "Remove";
  const chosen = await vscode.window.showWarningMessage(
    `Remove ${amount(preview.value)}?`,
    { modal: true, detail: [...names.slice(0, LISTED), ...more(names.length - LISTED)].join("\n") },
    remove,
  );
  if (chosen !== remove) return cancelled;
  const result = await operate(app, { title: "Cleaning up", method, params: { dryRun: false } });
  if (result.kind !== "ok") return result;
  void vscode.window.showInformationMessage(`Removed ${amount(result.value)}.`);
  return done;
}

function listed({ containers, volumes, images, networks }: PruneReport): string[] {
  return [
    ...containers.map((name) => `Sandbox ${name}`),
    ...volumes.map((name) => `Volume ${name}`),
    ...images.map((name) => `Image ${name}`),
    ...(networks ?? []).map((name) => `Network ${name}`),
  ];
}

export function amount({ containers, volumes, images, networks, reclaimedBytes }: PruneReport): string {
  const parts = [
    [containers.length, "sandbox"],
    [volumes.length, "volume"],
    [networks?.length ?? 0, "network"],
    [images.length, "image"],
  ] as const;
  const words = parts.filter(([count]) => count > 0).map(([count, noun]) => plural(count, noun));
  // The size of the images, which stand last; layers that others share stay.
  const size = images.length > 0 && reclaimedBytes > 0 ? ` (${bytes(reclaimedBytes)})` : "";
  return (words.length > 0 ? words.join(", ") : "nothing") + size;
}

function more(count: number): string[] {
  return count > 0 ? [`and ${count} more`] : [];
}
