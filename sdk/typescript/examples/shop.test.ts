/** The cart's own tests: no sidecar, and a clock that stands still until it is moved. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { TestHost } from "@orrery/sdk/testing";
import { Cart } from "./shop.js";

test("a cart counts what is added", async () => {
  const host = new TestHost(Cart);
  assert.equal(await host.call("ada", "add", { item: "pen" }), 1);
  assert.equal(await host.call("ada", "add", { item: "pen", count: 2 }), 3);
  assert.deepEqual(host.state("ada"), { items: { pen: 3 } });
});

test("a cart refuses what is nothing to add, and stays as it was", async () => {
  const host = new TestHost(Cart);
  await host.call("ada", "add", { item: "pen" });
  for (const order of ["pen", null, 7, {}, { item: 7 }, { item: "pen", count: "2" }, { item: "pen", count: NaN }]) {
    await assert.rejects(host.call("ada", "add", order), { code: "invalid_argument", effect: "not_executed" });
  }
  assert.deepEqual([host.state("ada"), host.exits], [{ items: { pen: 1 } }, []]);
});

test("a cart takes what is bought from the stock", async () => {
  const host = new TestHost(Cart);
  host.answer("stock", "take", (key: string, items: object) => ({ from: key, items }));
  await host.call("ada", "add", { item: "pen" });
  assert.deepEqual(await host.call("ada", "checkout"), { from: "main", items: { pen: 1 } });
  assert.deepEqual([host.state("ada"), host.timers("ada")], [{ items: {} }, {}]);
  await assert.rejects(host.call("ada", "checkout"), /the cart is empty/);
});

test("a cart that is left alone reminds of itself", async () => {
  const host = new TestHost(Cart);
  await host.call("ada", "add", { item: "pen" });
  await host.advance(1_800_000);
  assert.deepEqual(host.casts, [{ to: "mail/ada", method: "remind", argument: { pen: 1 } }]);
});

test("the pages show this cart", () => {
  const here = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const source = here("examples/shop.ts");
  const cart = source.slice(source.indexOf("interface State"), source.indexOf("if (import.meta")).trimEnd();
  for (const page of ["README.md", "../../docs/sdk-typescript.md"]) assert.ok(here(page).includes(cart), page);
});
