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
const GROUP_BYTES_MAX = 255;
const SYSTEM_WORDS: readonly string[] = ["group_joined", "group_left", "key_lost"];
const WORD_BYTES_MAX = 255;
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

/** Whether it is the text of a pid, as `demo-x7k2p@1732150000000000.12.3`, and no name. */
export function isPid(to: NameLike): to is string {
  return typeof to === "string" && to.includes("@") && !to.includes("/");
}

/** The text of a pid, or of a name: where the process is meant that runs now. Throws `invalid_argument` for what is neither. */
export function targetText(to: NameLike): string {
  return isPid(to) ? check("pid", to, KEY_BYTES_MAX) : nameText(parseName(to));
}

/** Throws `invalid_argument` for what names no method. */
export function checkMethod(method: string): string {
  return check("method", method, METHOD_BYTES_MAX);
}

/** Throws `invalid_argument` for what names no group. */
export function checkGroup(group: string): string {
  return check("group", group, GROUP_BYTES_MAX);
}

/** Throws `invalid_argument` for what is no word of a message, or the system's alone. */
export function checkWord(word: string): string {
  if (SYSTEM_WORDS.includes(word)) throw invalid(`'${word}' is a word of the system's`);
  return check("word", word, WORD_BYTES_MAX);
}

function check(what: string, text: unknown, bytesMax: number): string {
  if (typeof text !== "string") throw invalid(`a ${what} is a string, not ${typeof text}`);
  if (!isWellFormed(text)) throw invalid(`the ${what} is no valid Unicode`);
  const size = Buffer.byteLength(text);
  if (size < 1 || size > bytesMax) throw invalid(`the ${what} has ${size} bytes; 1 to ${bytesMax} are accepted`);
  return text;
}
