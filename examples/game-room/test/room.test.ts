import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { TestHost } from "@orrery/sdk/testing";
import { Room, type View } from "../src/room.js";

let host: TestHost, shelf: Map<string, unknown>, requests = 0;
beforeEach(() => {
  host = new TestHost(Room);
  shelf = new Map();
  host.answer("shelf", "get", (key: string) => (shelf.get(key) ?? null) as never);
  host.answer("shelf", "put", (key: string, entry: unknown) => void shelf.set(key, (entry as any).value));
});
const ask = (method: string, more: object) => host.call("lobby", method, { request: String(++requests), ...more } as never) as Promise<View>;

test("players move within the room and fetch coins", async () => {
  await ask("join", { player: "ada" });
  for (let n = 0; n < 20; ++n) await ask("move", { player: "ada", dx: n < 8 ? 1 : 0, dy: n < 5 ? 1 : 0 });
  const { players, coin } = await ask("move", { player: "ada", dx: -1 });
  assert.deepEqual([players["ada"]!.x, players["ada"]!.y, players["ada"]!.score], [7, 5, 1]);
  assert.notDeepEqual(coin, { x: 8, y: 5 });
  for (let n = 0; n < 20; ++n) await ask("move", { player: "ada", dx: -1, dy: -1 });
  assert.equal((await ask("join", { player: "ada" })).players["ada"]!.x, 0);
});

test("the same request again changes nothing", async () => {
  await ask("join", { player: "ada" });
  const step = { player: "ada", dx: 1, request: "again" };
  await ask("move", step);
  assert.equal((await ask("move", step)).players["ada"]!.x, 1);
});

test("a request is recognised again however busy the room was in between", async () => {
  for (const player of ["ada", "bob"]) await ask("join", { player });
  const step = { player: "ada", dx: 1, request: "late" };
  await ask("move", step);
  for (let n = 0; n < 1000; ++n) await ask("move", { player: "bob", dx: n % 2 ? -1 : 1 });
  assert.equal((await ask("move", step)).players["ada"]!.x, 1);
  assert.ok(Object.values<string[]>(host.state("lobby").answered).every((all) => all.length <= 16));
});

test("what was answered is forgotten with a player who is away", async (t) => {
  const began = Date.now();
  t.mock.method(Date, "now", () => began + host.now);
  await ask("join", { player: "ada" });
  await host.advance(50_000);
  await ask("join", { player: "bob" });
  await host.advance(71_000);
  await ask("join", { player: "eve" });
  assert.deepEqual(Object.keys(host.state("lobby").answered), ["eve"]);
});

test("hours in which nothing happens leave no watchers behind", async () => {
  const { version } = await ask("join", { player: "ada" });
  for (let n = 0; n < 1100; ++n) {
    const watching = Promise.allSettled([host.call("lobby", "watch", { since: version }, { timeoutMs: 25_000 })]);
    await host.advance(25_000);
    const [{ status }] = await watching as [PromiseSettledResult<View>];
    assert.equal(status, "fulfilled", `watch ${n} was not answered in time`);
  }
  assert.deepEqual(host.state("lobby").watchers, []);
  assert.equal((await ask("move", { player: "ada", dx: 1 })).players["ada"]!.x, 1);
  assert.deepEqual(host.exits, []);
});

test("more watchers than one message can answer are refused", async () => {
  const { version } = await ask("join", { player: "ada" });
  const watching = Array.from({ length: 500 }, () => host.call("lobby", "watch", { since: version }) as Promise<View>);
  await assert.rejects(host.call("lobby", "watch", { since: version }), /500 watch the room already/);
  await ask("move", { player: "ada", dx: 1 });
  for (const view of await Promise.all(watching)) assert.equal(view.version, version + 1);
});

test("a watcher is answered by the next change, or at once where it missed one", async () => {
  const { version } = await ask("join", { player: "ada" });
  const watching = host.call("lobby", "watch", { since: version }) as Promise<View>;
  await ask("move", { player: "ada", dx: 1 });
  assert.equal((await watching).version, version + 1);
  assert.equal(((await host.call("lobby", "watch", { since: version })) as View).version, version + 1);
});

test("a room that was lost begins with what it had answered", async () => {
  await ask("join", { player: "ada" });
  await ask("move", { player: "ada", dx: 1 });
  await host.kill("lobby");
  assert.equal((await ask("move", { player: "ada", dx: 1 })).players["ada"]!.x, 2);
});

test("a room that version 1 has kept goes on, and knows requests again from then on", async () => {
  const kept = { version: 7, players: { ada: { x: 3, y: 0, score: 2, seen: Date.now() } }, coin: { x: 8, y: 5 } };
  shelf.set("lobby", { view: kept, answered: ["1", "2"] });
  const step = { player: "ada", dx: 1, request: "again" };
  for (let n = 0; n < 2; ++n) assert.equal((await ask("move", step)).players["ada"]!.x, 4);
});

test("what is no step and who is not there is refused with what to do", async () => {
  await ask("join", { player: "ada" });
  await assert.rejects(ask("move", { player: "ada", dx: 2 }), /dx and dy are -1, 0 or 1/);
  await assert.rejects(ask("move", { player: "bob", dx: 1 }), /join first/);
  for (const player of ["a b", "constructor"]) await assert.rejects(ask("join", { player }), /1 to 20 letters/);
  await assert.rejects(ask("move", { player: "constructor", dx: 1 }), /join first/);
});
