/** Names of processes: `class/key`. */
import { isWellFormed } from "./cbor.js";
import { invalid } from "./errors.js";

/** The name of a process, in two parts. As text it is `class/key`; the key may have slashes of its own. */
export interface Name {
  readonly className: string;
  readonly key: string;
}
export type NameLike = string | Name;

const CLASS_BYTES_MAX = 63;
const KEY_BYTES_MAX = 1024;
export const METHOD_BYTES_MAX = 128;

/** Throws `invalid_argument` for what names no process. */
export function parseName(name: NameLike): Name {
  let parsed: Name;
  if (typeof name === "string") {
    const slash = name.indexOf("/");
    if (slash < 0) throw invalid(`'${name}' names no process; names are 'class/key', as in 'cart/ada'`);
    parsed = { className: name.slice(0, slash), key: name.slice(slash + 1) };
  } else if (typeof name === "object" && name !== null) {
    parsed = { className: name.className, key: name.key };
  } else {
    throw invalid(`a name is a string 'class/key' or { className, key }, not ${typeof name}`);
  }
  check("class", parsed.className, CLASS_BYTES_MAX);
  check("key", parsed.key, KEY_BYTES_MAX);
  return parsed;
}

export function nameText(name: Name): string {
  return `${name.className}/${name.key}`;
}

/** Throws `invalid_argument` for what names no method. */
export function checkMethod(method: string): string {
  check("method", method, METHOD_BYTES_MAX);
  return method;
}

function check(what: string, text: unknown, bytesMax: number): void {
  if (typeof text !== "string") throw invalid(`a ${what} is a string, not ${typeof text}`);
  if (!isWellFormed(text)) throw invalid(`the ${what} is no valid Unicode`);
  const size = Buffer.byteLength(text);
  if (size < 1 || size > bytesMax) throw invalid(`the ${what} has ${size} bytes; 1 to ${bytesMax} are accepted`);
}
