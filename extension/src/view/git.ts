// How questions and decisions about git credentials are told. Pure: the same question gives the same words.
import { baseName } from "../format";
import type { GitAnswer, GitApproval, GitAsk } from "../generated/protocol";

/** A question, with a link for each answer. The links come first: the editor shows the first line only, until one looks closer. */
export function gitAskText({ host, project }: GitAsk): string {
  const link = (label: string, command: string): string => {
    const target = encodeURIComponent(JSON.stringify([{ project, host }]));
    // These would end the link.
    return `[${label}](command:${command}?${target.replace(/[()']/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)})`;
  };
  const allow = link("Allow", "boxwood.allowGitCredential");
  const deny = link("Deny", "boxwood.denyGitCredential");
  return `${allow} or ${deny} your git credential of ${plain(host)}? The sandbox of '${plain(baseName(project))}' asks for it.`;
}

/** Text from elsewhere, of which nothing can be taken for a link. */
function plain(text: string): string {
  return text.replace(/[[\]]/g, "");
}

export const gitAnswerWords: Readonly<Record<GitAnswer, string>> = { allow: "allowed", deny: "denied" };

export interface GitRow {
  readonly label: string;
  readonly description: string;
  readonly host: string;
}

export function gitAskRow({ host }: GitAsk): GitRow {
  return { label: `$(question) ${host}`, description: "waits for your answer", host };
}

export function gitApprovalRow({ host, answer }: GitApproval): GitRow {
  return {
    label: `$(${answer === "allow" ? "pass" : "circle-slash"}) ${host}`,
    description: gitAnswerWords[answer],
    host,
  };
}
