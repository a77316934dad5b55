/** The examples of client processes, with a sidecar; and the pages show them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ProcessExit, connect } from "@orrery/sdk";
import { Fake } from "../test/fake.js";
import { Sidecar, noSidecar, until } from "../test/sidecar.js";
import { deliver, lead, listen, say } from "./processes.js";

const options = { skip: noSidecar, timeout: 120_000 };

test("who listens to a chat room hears what is said", options, async () => {
  await using sidecar = await Sidecar.start();
  await using client = await connect({ address: sidecar.address });
  const heard = listen(client, "lobby");
  const first = heard.next();
  while ((await say(client, "lobby", "ada", "hello")) === 0) await sleep(5);
  assert.deepEqual((await first).value, { who: "ada", text: "hello" });
  await heard.return(undefined);
  assert.equal(await say(client, "lobby", "ada", "is anybody there?"), 0);
});

test("one leads at a time, and the next one when it has ended or lost its connection", options, async () => {
  await using sidecar = await Sidecar.start();
  const clients = await Promise.all([0, 1, 2].map(() => connect({ address: sidecar.address })));
  const led: number[] = [];
  const ends: (() => void)[] = [];
  const leading = clients.map((client, n) =>
    lead(client, "leader", async (lost) => {
      led.push(n);
      await new Promise<void>((resolve) => {
        ends[n] = resolve;
        lost.addEventListener("abort", () => resolve());
      });
    }).catch(() => {}),
  );
  await until(() => led.length === 1);
  ends[led[0] as number]?.();
  await until(() => led.length === 2);
  await clients[led[1] as number]?.close();
  await until(() => led.length === 3);
  ends[led[2] as number]?.();
  await Promise.all(leading);
  assert.deepEqual([...led].sort(), [0, 1, 2]);
  for (const client of clients) await client.close();
});

test("a delivery ends with its cart", options, async () => {
  await using sidecar = await Sidecar.start();
  await using client = await connect({ address: sidecar.address });
  await client.start("counter/cart");
  assert.equal(await deliver(client, "counter/cart", async () => "there"), "there");
  let begun = false;
  const delivery = deliver(client, "counter/cart", async (signal) => {
    begun = true;
    await sleep(60_000, undefined, { signal });
    return "never";
  });
  delivery.catch(() => {});
  await until(() => begun);
  await client.kill("counter/cart");
  await assert.rejects(delivery, (problem) => problem instanceof ProcessExit && problem.reason.kind === "killed");
});

test("a delivery goes on with a cart that has moved", async () => {
  await using fake = await Fake.start((frame, say) => {
    if (frame.type === "open") say({ type: "result", id: frame.id, ok: { pid: `n@1.0.${frame.process}` } });
    return frame.type === "open";
  });
  await using client = await fake.client();
  const drives: AbortSignal[] = [];
  const delivery = deliver(client, "cart/ada", async (signal) => {
    drives.push(signal);
    if (drives.length === 1) await sleep(60_000, undefined, { signal });
    return "there";
  });
  await until(() => drives.length === 1);
  fake.tell({ type: "message", process: 1, kind: "exit", from: "n@1.2.3", reason: { kind: "moved", text: "" } });
  assert.equal(await delivery, "there");
  assert.deepEqual([fake.of("start").length, fake.of("link").map(({ to }) => to), drives[0]?.aborted], [2, ["cart/ada", "cart/ada"], true]);
});

test("the pages show these", () => {
  const here = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const source = here("examples/processes.ts");
  const shown = source.slice(source.indexOf("// A chat room")).trimEnd();
  for (const page of ["README.md", "../../docs/sdk-typescript.md"]) assert.ok(here(page).includes(shown), page);
});
