/** JSON merge patches (RFC 7396) between two states, where they say the change in fewer words than the new state. */

type Members = Record<string, unknown>;

function isMap(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** Equal as data; -0 and 0 are two things. */
export function same(left: unknown, right: unknown): boolean {
  if (isMap(left)) {
    if (!isMap(right)) return false;
    const keys = Object.keys(left).filter((key) => left[key] !== undefined);
    return (
      keys.length === Object.keys(right).filter((key) => right[key] !== undefined).length &&
      keys.every((key) => Object.hasOwn(right, key) && same(left[key], right[key]))
    );
  }
  if (Array.isArray(left)) {
    return Array.isArray(right) && left.length === right.length && left.every((item, index) => same(item, right[index]));
  }
  if (left instanceof Uint8Array) return right instanceof Uint8Array && Buffer.compare(left, right) === 0;
  return Object.is(left ?? null, right ?? null);
}

/** The patch that makes `after` of `before`; undefined where none can (not both maps, or a null that would be taken for a removal). */
export function diff(before: unknown, after: unknown): Members | undefined {
  if (!isMap(before) || !isMap(after)) return undefined;
  const patch: Members = {};
  for (const key of Object.keys(before)) if (after[key] === undefined) put(patch, key, null);
  for (const [key, now] of Object.entries(after)) {
    const old = Object.hasOwn(before, key) ? before[key] : undefined;
    if (now === undefined || (old !== undefined && same(old, now))) continue;
    const inner = isMap(old) && Object.keys(old).length > 0 ? diff(old, now) : undefined;
    if (inner === undefined && hasNull(now)) return undefined;
    put(patch, key, inner ?? now);
  }
  return patch;
}

/** RFC 7396, section 2. The target is not changed. */
export function apply(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Members = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else put(result, key, apply(Object.hasOwn(result, key) ? result[key] : undefined, value));
  }
  return result;
}

/** Whether the value, put into a patch, would lose a null. In arrays nulls are safe; as members they mean removal. */
function hasNull(value: unknown): boolean {
  if (value === null) return true;
  return isMap(value) && Object.values(value).some(hasNull);
}

/** Also for the key `__proto__`, which plain assignment would not make a member. */
function put(target: Members, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
