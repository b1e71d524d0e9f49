// Reads recorded conversations and says where one departs from the contract.
//
// A transcript is a list of `{ direction: "toServer" | "fromServer", message }` with JSON-RPC messages, taken from the
// standard streams of `boxwood lsp` or from the daemon's socket. Names are held against the generated table, and every
// parameter, result and event against the generated types, by the compiler itself.
import {
  errorNumbers,
  eventMethod,
  methods,
  subscribeMethod,
  type ErrorCode,
  type MethodName,
} from "../../src/generated/protocol";

import { eventFields, isRecord, parseEvent } from "../../src/wire";
import type { TypedValue } from "./types";

export interface Findings {
  /** What is wrong, each with the place. */
  readonly problems: string[];
  /** What the compiler has to look at. */
  readonly values: TypedValue[];
}

interface Message {
  readonly at: string;
  readonly isToServer: boolean;
  readonly body: Record<string, unknown>;
}

const unsubscribeMethod = "boxwood/events/unsubscribe";
const names: ReadonlySet<string> = new Set(Object.values(methods));

/** What belongs to the Language Server Protocol and is described there. */
const isEditorProtocol = (method: string): boolean =>
  /^(initialize|initialized|shutdown|exit|[$]\/.+|(window|client|workspace|textDocument|telemetry)\/.+)$/.test(method);

/** The codes with which a server refuses a request that is wrong on purpose. */
const refusals: readonly unknown[] = [errorNumbers["rpc.unknownMethod"], errorNumbers["rpc.invalidParams"]];

export function examine(name: string, transcript: unknown): Findings {
  const findings: Findings = { problems: [], values: [] };
  if (!Array.isArray(transcript) || transcript.length === 0) {
    findings.problems.push(`${name}: not a list of messages`);
    return findings;
  }
  const messages = transcript.flatMap((entry: unknown, index) => readMessage(`${name}[${index}]`, entry, findings));
  const requests = new Map<string, Message>();
  const operations = new Map<string, MethodName>();
  const answers = new Map(messages.filter(isAnswer).map((message) => [answerKey(message), message]));
  for (const message of messages) {
    if (isAnswer(message)) examineAnswer(message, requests, operations, findings);
    else if ("id" in message.body) {
      requests.set(requestKey(message), message);
      examineRequest(message, answers.get(requestKey(message)), findings);
    } else examineNotification(message, operations, findings);
  }
  return findings;
}

function readMessage(at: string, entry: unknown, { problems }: Findings): Message[] {
  const direction = isRecord(entry) ? entry.direction : undefined;
  const body = isRecord(entry) ? entry.message : undefined;
  if ((direction !== "toServer" && direction !== "fromServer") || !isRecord(body) || body.jsonrpc !== "2.0") {
    problems.push(`${at}: not a JSON-RPC message with a direction`);
    return [];
  }
  return [{ at, isToServer: direction === "toServer", body }];
}

const isAnswer = ({ body }: Message): boolean => !("method" in body);
const requestKey = ({ isToServer, body }: Message): string => `${isToServer ? ">" : "<"}${JSON.stringify(body.id)}`;
const answerKey = ({ isToServer, body }: Message): string => `${isToServer ? "<" : ">"}${JSON.stringify(body.id)}`;
const methodOf = ({ body }: Message): string => String(body.method);

function isMethod(name: string): name is MethodName {
  return names.has(name);
}

function examineRequest(message: Message, answer: Message | undefined, { problems, values }: Findings): void {
  const method = methodOf(message);
  if (isEditorProtocol(method)) return;
  const refusal = isRecord(answer?.body.error) ? answer.body.error.code : undefined;
  if (refusals.includes(refusal)) return;
  if (method === subscribeMethod) {
    values.push({ at: `${message.at} params`, type: "SubscribeParams", value: message.body.params });
  } else if (isMethod(method)) {
    values.push({ at: `${message.at} params`, type: `Methods["${method}"]["params"]`, value: message.body.params });
  } else if (method !== unsubscribeMethod) {
    problems.push(`${message.at}: the contract has no method '${method}'`);
  }
  if (!message.isToServer && !isEditorProtocol(method)) problems.push(`${message.at}: the server asks '${method}'`);
}

function examineAnswer(
  message: Message,
  requests: ReadonlyMap<string, Message>,
  operations: Map<string, MethodName>,
  { problems, values }: Findings,
): void {
  const { at, body } = message;
  const request = requests.get(answerKey(message));
  if (isRecord(body.error)) {
    examineError(at, body.error, request, { problems, values });
    return;
  }
  if (!request) {
    problems.push(`${at}: answers nothing that was asked`);
    return;
  }
  const method = methodOf(request);
  if (!isMethod(method)) return;
  values.push({ at: `${at} result`, type: `Methods["${method}"]["result"]`, value: body.result });
  if (isRecord(body.result) && typeof body.result.operationId === "string" && method !== methods.wait) {
    operations.set(body.result.operationId, method);
  }
  if (method === methods.wait) examineEnd(at, body.result, operations, values);
}

function examineError(
  at: string,
  error: Record<string, unknown>,
  request: Message | undefined,
  { problems, values }: Findings,
): void {
  // Errors of the editor protocol, and of text that is no request, have no data of the contract.
  if (!isRecord(error.data) || (request && isEditorProtocol(methodOf(request)))) return;
  values.push({ at: `${at} error`, type: "RpcError", value: error.data });
  const number = errorNumbers[error.data.code as ErrorCode];
  if (number !== error.code) problems.push(`${at}: ${String(error.data.code)} is ${number}, not ${String(error.code)}`);
}

function examineNotification(
  message: Message,
  operations: ReadonlyMap<string, MethodName>,
  { problems, values }: Findings,
): void {
  const { at, isToServer, body } = message;
  const method = methodOf(message);
  if (isEditorProtocol(method)) return;
  if (method !== eventMethod || isToServer) {
    problems.push(`${at}: the contract has no notification '${method}'`);
    return;
  }
  const { params } = body;
  // On the socket an event comes as a message of its subscription.
  const event = isRecord(params) && "subscription" in params ? params.result : params;
  const type = isRecord(event) ? String(event.type) : "";
  if (!Object.hasOwn(eventFields, type)) problems.push(`${at}: the contract has no event '${type}'`);
  else if (!parseEvent(event)) problems.push(`${at}: the extension does not take this '${type}'`);
  values.push({ at: `${at} event`, type: "Event", value: event });
  if (isRecord(event) && event.type === "operationEnded") examineEnd(at, event.end, operations, values);
}

/** What an operation ends with has the type that its method promises. */
function examineEnd(at: string, end: unknown, operations: ReadonlyMap<string, MethodName>, values: TypedValue[]): void {
  if (!isRecord(end) || end.outcome !== "ok") return;
  const method = operations.get(String(end.operationId));
  if (method) values.push({ at: `${at} outcome`, type: `Methods["${method}"]["outcome"]`, value: end.result });
}
