/** What a process class may say. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { definitionsOf } from "../src/definition.js";
import { CODES, Process, type ProcessClass, call, cast, info } from "../src/index.js";

class Shop extends Process<string[]> {
  static override className = "shop";
  static override stateVersion = 3;
  static override concurrency = 7;

  override init() {
    this.state = [];
  }
  @call async add(item: string) {
    return this.state.push(item);
  }
  @call("add-many") addMany({ items }: { items: string[] }) {
    return this.state.push(...items);
  }
  @cast clear() {
    this.state = [];
  }
  @info expire() {}
  override terminate() {}
  helper() {}
}

const definition = (owner: ProcessClass) => [...definitionsOf([owner]).values()][0]!;

test("a class says what is registered", () => {
  assert.deepEqual(definition(Shop).registration("shop 1.0"), {
    class: "shop", calls: ["add", "add-many"], casts: ["clear"], callbacks: ["init", "terminate", "info"], stateVersion: 3, concurrency: 7, app: "shop 1.0",
  });
});

test("handlers are inherited, and overridden", () => {
  class Better extends Shop {
    static override className = "better";
    @call override async add(item: string) {
      return (await super.add(item)) + 100;
    }
    @call total() {
      return this.state.length;
    }
  }
  assert.deepEqual(definition(Better).names("call"), ["add", "add-many", "total"]);
  assert.equal(definition(Better).handler("call", "add"), Better.prototype.add);
});

test("the page lists the names that Process takes", () => {
  const page = readFileSync(new URL("../../../../docs/sdk-typescript.md", import.meta.url), "utf8");
  const list = page.slice(page.indexOf("Names that `Process` takes"), page.indexOf("## Your program as a process"));
  const names = [...Object.getOwnPropertyNames(Process.prototype), ...Object.getOwnPropertyNames(Process), "state", "init", "codeChange", "handleContinue", "handoff", "terminate"];
  for (const name of names) if (!["length", "name", "prototype"].includes(name)) assert.ok(list.includes(`\`${name}\``), name);
  assert.ok(list.includes("`name`"));
});

test("the page lists the codes of Refused, behind its first use", () => {
  const page = readFileSync(new URL("../../../../docs/sdk-typescript.md", import.meta.url), "utf8");
  const list = page.slice(page.indexOf("The codes of `Refused`"), page.indexOf("## 2. Test it"));
  const listed = [...list.matchAll(/`([a-z_]+)`/g)].map(([, code]) => code);
  for (const code of CODES) assert.ok(listed.includes(code), code);
});

test("a timer's handler is found by its whole name, or by what is before the slash", () => {
  assert.equal(definition(Shop).handler("info", "expire/pen/2"), Shop.prototype.expire);
  assert.equal(definition(Shop).handler("info", "expired"), undefined);
});

test("plain JavaScript marks methods without decorators", () => {
  class Plain extends Process {
    static override className = "plain";
    static {
      call(this.prototype.hello);
    }
    hello() {
      return "hello";
    }
  }
  assert.deepEqual(definition(Plain).names("call"), ["hello"]);
});

test("what could not work when messages come is refused", () => {
  const bad = (fields: object) => Object.assign(class extends Process {}, { className: "bad" }, fields);
  for (const [fields, why] of [
    [{ className: "Bad_Name" }, /a class is named like 'cart'/], [{ className: "" }, /a class is named/], [{ className: "x".repeat(64) }, /a class is named/],
    [{ stateVersion: -1 }, /stateVersion is -1/], [{ stateVersion: 1.5 }, /stateVersion/], [{ concurrency: 0 }, /concurrency/],
  ] as const) assert.throws(() => definitionsOf([bad(fields)]), why);
  assert.throws(() => definitionsOf([]), /no class to host/);
  assert.throws(() => definitionsOf([Shop, class Other extends Shop {}]), /Other and Shop are both 'shop'/);
  assert.throws(() => definitionsOf([class NotOne {} as never]), /NotOne cannot be hosted/);
  class Hides extends Process {
    static override className = "hides";
    // @ts-expect-error a handler that hides a method of Process
    @call stop() {}
  }
  assert.throws(() => definitionsOf([Hides]), /Hides.stop hides Process.stop; .* @call\("stop"\)/);
  class Twice extends Process {
    static override className = "twice";
    @call("a") one() {}
    @call("a") two() {}
  }
  assert.throws(() => definitionsOf([Twice]), /two methods for call 'a'/);
  assert.throws(() => call(""), /1 to 128 bytes/);
});
