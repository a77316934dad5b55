/** Decorators that say which methods of a process class messages come to. */
import { METHOD_BYTES_MAX } from "./names.js";

export type Kind = "call" | "cast" | "info";
type Method = (this: any, argument: any) => unknown;

const marks = new WeakMap<Function, { kind: Kind; name: string }>();

/** What {@link call}, {@link cast} and {@link info} are: `@call`, or `@call("other-name")`. */
export interface HandlerDecorator {
  <M extends Method>(method: M, context?: ClassMethodDecoratorContext): void;
  /** For names that are no identifiers, or that a method of {@link Process} has already. */
  (name: string): <M extends Method>(method: M, context: ClassMethodDecoratorContext) => void;
}

function decorator(kind: Kind): HandlerDecorator {
  const mark = (method: Function, name: string): void => {
    if (typeof method !== "function") throw new TypeError(`@${kind} is for methods, not for ${typeof method}`);
    marks.set(method, { kind, name });
  };
  return ((first: Function | string, context?: ClassMethodDecoratorContext) => {
    const name = typeof first === "string" ? first : String(context?.name ?? first?.name);
    const size = Buffer.byteLength(name);
    if (size < 1 || size > METHOD_BYTES_MAX) throw new TypeError(`@${kind}: a name has 1 to ${METHOD_BYTES_MAX} bytes, not ${size}`);
    return typeof first === "string" ? (method: Function) => mark(method, name) : mark(first, name);
  }) as HandlerDecorator;
}

/** A method that answers: what it returns is the reply. In plain JavaScript: `static { call(this.prototype.add); }`. */
export const call = decorator("call");
/** A method that nobody waits for. */
export const cast = decorator("cast");
/**
 * A method for the name of a timer, request or monitor, or the word of another process' message; `this.source` says which it is. What is called
 * `expire/pen` comes to `expire` where nothing has its whole name.
 */
export const info = decorator("info");

export interface Handler {
  readonly kind: Kind;
  readonly name: string;
  readonly method: Method;
}

/** All handlers of a class and its bases; a method that overrides one needs the decorator anew. `own` are names that no handler may hide. */
export function handlersOf(owner: Function, base: Function): Handler[] {
  const found = new Map<string, Handler>();
  const seen = new Set<string | symbol>();
  for (let proto = owner.prototype; proto !== null && proto !== base.prototype; proto = Object.getPrototypeOf(proto)) {
    for (const attribute of Reflect.ownKeys(proto)) {
      const method: unknown = Object.getOwnPropertyDescriptor(proto, attribute)?.value;
      const mark = typeof method === "function" ? marks.get(method) : undefined;
      if (!mark || seen.has(attribute)) continue;
      seen.add(attribute);
      if (attribute in base.prototype) {
        const text = `${owner.name}.${String(attribute)} hides Process.${String(attribute)}`;
        throw new TypeError(`${text}; call the method otherwise, and say @${mark.kind}("${mark.name}")`);
      }
      const known = `${mark.kind} '${mark.name}'`;
      if (found.has(known)) throw new TypeError(`${owner.name} has two methods for ${known}`);
      found.set(known, { ...mark, method: method as Method });
    }
  }
  return [...found.values()];
}
