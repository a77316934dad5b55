/** What a process class offers, read once from its class: its name, its handlers, its callbacks. */
import { type Handler, handlersOf } from "./handlers.js";
import { Process, type ProcessClass } from "./process.js";

const METHODS_MAX = 256;
const STATE_VERSION_MAX = 2 ** 31 - 1;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export type Callback = "init" | "call" | "cast" | "info" | "continue" | "code_change" | "handoff" | "terminate";
const OPTIONAL = { init: "init", continue: "handleContinue", terminate: "terminate", code_change: "codeChange", handoff: "handoff" } as const;

export class Definition {
  readonly className: string;
  readonly stateVersion: number;
  private readonly handlers = new Map<string, Handler["method"]>();
  private readonly callbacks: Callback[];

  /** Throws a TypeError for what could not work when messages come. */
  constructor(readonly owner: ProcessClass) {
    this.className = owner.className;
    this.stateVersion = owner.stateVersion;
    if (!DNS_LABEL.test(this.className)) {
      throw new TypeError(`${owner.name}.className is '${this.className}'; a class is named like 'cart': at most 63 of a-z, 0-9 and '-'`);
    }
    if (!Number.isInteger(this.stateVersion) || this.stateVersion < 0 || this.stateVersion > STATE_VERSION_MAX) {
      throw new TypeError(`${owner.name}.stateVersion is ${this.stateVersion}; it is an integer from 0 to ${STATE_VERSION_MAX}`);
    }
    if (!Number.isInteger(owner.concurrency) || owner.concurrency < 1) {
      throw new TypeError(`${owner.name}.concurrency is ${owner.concurrency}; it is an integer from 1`);
    }
    for (const { kind, name, method } of handlersOf(owner, Process)) this.handlers.set(`${kind} ${name}`, method);
    for (const [callback, method] of Object.entries(OPTIONAL)) {
      if (typeof owner.prototype[method] === "function") this.handlers.set(`${callback} `, owner.prototype[method] as Handler["method"]);
    }
    if (this.names("call").length + this.names("cast").length > METHODS_MAX) {
      throw new TypeError(`${owner.name} has more than ${METHODS_MAX} calls and casts`);
    }
    this.callbacks = (Object.keys(OPTIONAL) as Callback[]).filter((callback) => this.has(callback));
    if (this.names("info").length > 0) this.callbacks.push("info");
  }

  has(callback: Callback): boolean {
    return this.handlers.has(`${callback} `);
  }

  /** Names of the handlers of a kind. */
  names(kind: "call" | "cast" | "info"): string[] {
    return [...this.handlers.keys()].filter((key) => key.startsWith(`${kind} `)).map((key) => key.slice(kind.length + 1)).sort();
  }

  /** Who handles this; undefined: nobody. */
  handler(callback: Callback, method: string): Handler["method"] | undefined {
    if (callback === "call" || callback === "cast") return this.handlers.get(`${callback} ${method}`);
    if (callback !== "info") return this.handlers.get(`${callback} `);
    return this.handlers.get(`info ${method}`) ?? this.handlers.get(`info ${method.split("/", 1)[0]}`);
  }

  /** The fields of a `register` request; `refused` are callbacks that the sidecar does not know. */
  registration(app: string, concurrency = this.owner.concurrency, refused: readonly Callback[] = []): Record<string, unknown> {
    return {
      class: this.className,
      calls: this.names("call"),
      casts: this.names("cast"),
      callbacks: this.callbacks.filter((callback) => !refused.includes(callback)),
      stateVersion: this.stateVersion,
      concurrency,
      app,
    };
  }
}

/** By class name. Throws a TypeError where there are none, or two of a name. */
export function definitionsOf(classes: readonly ProcessClass[]): Map<string, Definition> {
  const found = new Map<string, Definition>();
  for (const owner of classes) {
    if (typeof owner !== "function" || !(owner.prototype instanceof Process)) {
      throw new TypeError(`${String((owner as { name?: string })?.name ?? owner)} cannot be hosted; it is to be a subclass of Process`);
    }
    const definition = new Definition(owner);
    const other = found.get(definition.className);
    if (other) throw new TypeError(`${owner.name} and ${other.owner.name} are both '${definition.className}'`);
    found.set(definition.className, definition);
  }
  if (found.size === 0) throw new TypeError("no class to host");
  return found;
}
