/** Handles one piece of work: from the sidecar's `work` to the app's `done`. The same for live hosts and for the test kit. */
import type { LazyAbort } from "./abort.js";
import { decode, encode } from "./cbor.js";
import { Context, type Runtime } from "./context.js";
import type { Callback, Definition } from "./definition.js";
import { OrreryError, Refused } from "./errors.js";
import type { Frame } from "./frames.js";
import { isPid } from "./names.js";
import * as patches from "./patch.js";
import type { Process, Reply } from "./process.js";
import { type Down, reasonOf } from "./reason.js";
import { within } from "./trace.js";
import { encodeValue, wellFormed } from "./values.js";

/** States smaller than this are sent whole: a patch would not pay for its making. */
const PATCH_FROM_BYTES = 1024;
const CRASH_TEXT_MAX = 1000;
const NULL = encode(null);

/** What an info is. Sidecars of later versions may have more. */
export type InfoSource = "timer" | "message" | "reply" | "down";

/** A `work` frame. */
export interface Work {
  readonly id: number;
  readonly className: string;
  readonly key: string;
  readonly pid: string;
  readonly callback: Callback;
  readonly method: string;
  readonly argument: unknown;
  readonly source: InfoSource | undefined;
  readonly state: unknown;
  /** As they came, to see whether a handler changed the state. */
  readonly stateBytes: Uint8Array | undefined;
  readonly caller: number | undefined;
  readonly trace: string | undefined;
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
  /** The one that it came from and that waits for it. */
  readonly connection: unknown;
}

export function workOf(frame: Frame, stateBytes: Uint8Array | undefined, abort: LazyAbort, connection: unknown): Work {
  const callback = frame["callback"] as Callback;
  return {
    id: frame["work"],
    className: frame["class"],
    key: frame["key"] ?? "",
    pid: frame["pid"] ?? "",
    callback,
    method: frame["method"] ?? "",
    argument: argumentOf(frame, callback),
    source: frame["source"],
    state: frame["state"] ?? null,
    stateBytes,
    caller: frame["caller"],
    trace: frame["trace"],
    get signal() {
      return abort.signal;
    },
    connection,
  };
}

/** What it is, for logs: `call add`, `init`. */
export function workText({ callback, method }: Work): string {
  return method ? `${callback} ${method}` : callback;
}

function argumentOf(frame: Frame, callback: Callback): unknown {
  switch (callback) {
    case "code_change":
      return frame["fromVersion"];
    case "terminate":
      return frame["reason"];
    case "info":
      return infoArgument(frame["source"], frame["argument"] ?? null);
    default:
      return frame["argument"] ?? null;
  }
}

function infoArgument(source: InfoSource | undefined, argument: any): unknown {
  if (source === "down") return { pid: isPid(argument?.pid) ? argument.pid : null, reason: reasonOf(argument?.reason) } satisfies Down;
  if (source !== "reply") return argument;
  const reply: Reply = argument?.error ? { error: OrreryError.of(argument.error) } : { ok: argument?.ok ?? null };
  return reply;
}

/** Fields of a `done` frame, and in a word what became of the work. */
export interface Done {
  readonly fields: Record<string, unknown>;
  readonly outcome: "ok" | "refused" | "crash" | "cancelled";
}

export function crash(text: string): Done {
  return { fields: { crash: { text: wellFormed(text.slice(0, CRASH_TEXT_MAX)) } }, outcome: "crash" };
}

/** For work that its host ends while the connection stays. Its caller hears the truth, and the process keeps the state that it had. */
export function givenUp({ callback }: Work): Done {
  const text = "the app stopped hosting the class while it handled this";
  if (callback === "call") return { fields: { error: { code: "unavailable", text, effect: "unknown" } }, outcome: "cancelled" };
  if (callback !== "init" && callback !== "code_change") return { fields: {}, outcome: "cancelled" };
  return { ...crash(text), outcome: "cancelled" }; // without a state of this shape it cannot go on
}

/** Never rejects: whatever a handler does ends as fields of a `done`. */
export async function handle(definition: Definition, work: Work, runtime: Runtime): Promise<Done> {
  const handler = definition.handler(work.callback, work.method);
  if (!handler) return withoutHandler(work, runtime);
  const context = new Context(work, runtime, definition);
  try {
    const process = new definition.owner(context);
    const declared = Object.keys(process).length > 0 ? { ...process } : undefined;
    process.state = work.state;
    const given = work.callback === "init" ? [work.key, work.argument] : [work.argument];
    const reply = await within(work, () => Reflect.apply(handler, process, given));
    warnOfLostFields(process, declared, definition, work, runtime);
    return { fields: doneFields(process, context, reply), outcome: "ok" };
  } catch (problem) {
    if (problem instanceof Refused) return refused(work, problem, runtime);
    const where = `${work.className}/${work.key} crashed in ${workText(work)}`;
    runtime.logger.error(`${where}: ${problem instanceof Error ? (problem.stack ?? problem.message) : String(problem)}`);
    return crash(crashText(problem, `${definition.owner.name}.${handler.name}`));
  } finally {
    context.close();
  }
}

function withoutHandler(work: Work, runtime: Runtime): Done {
  if (work.callback !== "call" && work.callback !== "cast") {
    runtime.logger.debug(`${work.className}/${work.key} has nothing for ${workText(work)}; dropped`);
    return { fields: {}, outcome: "ok" };
  }
  return crash(`this app has no ${work.callback} '${work.method}' for class '${work.className}'`);
}

function doneFields(process: Process, context: Context, reply: unknown): Record<string, unknown> {
  const { callback } = context.work;
  const fields: Record<string, unknown> = callback === "terminate" ? {} : stateFields(process, context);
  if (callback === "call") {
    if (!context.later) fields["reply"] = context.encode(reply, "reply");
    else if (reply === undefined) fields["later"] = true;
    else throw new Error("the handler left its caller waiting with replyLater(), and returned a reply as well");
  }
  if (context.effects.length > 0) fields["effects"] = context.effects;
  if (context.next) fields["next"] = context.next;
  if (context.stop) fields["stop"] = context.stop;
  return fields;
}

/** The new state, or a patch that makes it, or nothing where the handler left it as it was. */
function stateFields(process: Process, context: Context): Record<string, unknown> {
  const before = context.work.stateBytes;
  const after = context.encode(process.state, "state");
  if (Buffer.compare(after.bytes, before ?? NULL) === 0) return {};
  if (before && after.bytes.length >= PATCH_FROM_BYTES) {
    const patch = patches.diff(decode(before), process.state);
    if (patch && Object.keys(patch).length === 0) return {};
    const encoded = patch && encodeValue(patch, "patch");
    if (encoded && encoded.bytes.length * 2 <= after.bytes.length) return { patch: encoded };
  }
  return { state: after };
}

function refused(work: Work, { code, text, effect, message }: Refused, runtime: Runtime): Done {
  if (work.callback === "call") return { fields: { error: { code, text: wellFormed(text), effect } }, outcome: "refused" };
  if (work.callback === "init" || work.callback === "code_change") return crash(message);
  const what = `${work.className}/${work.key} refused ${workText(work)}`;
  runtime.logger.warn(`${what}, which nobody waits for: ${message}`);
  return { fields: {}, outcome: "refused" };
}

/** What went wrong, and where in the app's own code: the line, or `handler` where none of its lines was at work any more. */
function crashText(problem: unknown, handler: string): string {
  if (!(problem instanceof Error)) return `something that is no Error was thrown: ${String(problem)}`;
  const text = problem instanceof OrreryError ? `${problem.code}: ${problem.text}` : `${problem.name}: ${problem.message}`;
  const frames = (problem.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line) && !line.includes("node:"));
  const own = frames.find((line) => !OURS.some((folder) => line.includes(folder) && !line.slice(line.indexOf(folder) + folder.length).includes("/")));
  const where = own?.match(/([^/\\(]+:\d+):\d+\)?$/)?.[1];
  return `${text.slice(0, CRASH_TEXT_MAX - 200)} (${where ?? handler})`;
}

const HERE = new URL(".", import.meta.url).pathname;
const OURS = [HERE, HERE.replace(/dist\/src\/$/, "src/")].flatMap((folder) => [folder, `${folder}testing/`]); // src/ where source maps are on
const warned = new WeakMap<object, Set<string>>();

/** `declared`: the fields that the class gives every message anew, as they were. */
function warnOfLostFields(process: Process, declared: object | undefined, definition: Definition, work: Work, runtime: Runtime): void {
  for (const [field, value] of Object.entries(process)) {
    if (field === "state" || (declared && Object.is((declared as Record<string, unknown>)[field], value))) continue;
    const known = warned.get(definition.owner) ?? new Set();
    warned.set(definition.owner, known);
    if (known.has(field)) continue;
    known.add(field);
    const where = `${definition.owner.name}: '${work.method || work.callback}' set this.${field}`;
    runtime.logger.warn(`${where}, which the next message does not find; keep it in this.state`);
  }
}
