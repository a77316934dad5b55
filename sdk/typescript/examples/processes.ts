/** A program that is a process itself: in a chat room, as a leader, and with a task that is linked with a process. */
import { type Client, type LinkedTask, OrreryError } from "@orrery/sdk";

// A chat room is a group: who has joined gets what is said there, at whichever node.
export async function* listen(client: Client, room: string) {
  await using member = await client.process();
  await member.join(`chat/${room}`);
  for await (const message of member) {
    if (message.kind === "plain" && message.word === "said") yield message.argument as { who: string; text: string };
  }
}

export async function say(client: Client, room: string, who: string, text: string) {
  return client.publish(`chat/${room}`, "said", { who, text }); // how many heard it
}

// One leader in the mesh: who holds the key. It is free when its holder ends, or loses its connection; who waits for that, watches the holder.
export async function lead(client: Client, key: string, work: (lost: AbortSignal) => Promise<void>) {
  await using candidate = await client.process();
  for (;;) {
    try {
      await candidate.claim(key);
      break;
    } catch (problem) {
      if (!(problem instanceof OrreryError) || problem.code !== "already_exists") throw problem;
    }
    const [leader] = await client.lookup(key);
    if (leader) await (await client.monitor(leader.pid)).down;
  }
  const lost = new AbortController();
  void (async () => {
    for await (const message of candidate) if (message.kind === "plain" && message.word === "key_lost") break;
    lost.abort(); // another holds the key now, or there is no connection to hold it with
  })();
  await work(lost.signal);
}

// A task that ends with a process, and takes it along where it fails.
export async function deliver(client: Client, cart: string, drive: (signal: AbortSignal) => Promise<string>) {
  return client.link(cart, ({ signal }: LinkedTask) => drive(signal)); // a ProcessExit says that the cart has ended, and why
}
