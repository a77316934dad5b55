/** A program that is a process itself: in a chat room, as a leader, and with a task that is linked with a process. */
import { type Client, type LinkedTask, ProcessExit } from "@orrery/sdk";

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

// One leader in the mesh: who holds the key works. It is free when its holder has done its work, has ended, or has lost its connection; then another works.
export async function lead(client: Client, key: string, work: (lost: AbortSignal) => Promise<void>, signal?: AbortSignal) {
  return client.lead(key, work, { signal }); // `lost` is aborted when it leads no more; after that it stands for the key again, and works anew
}

// A task that ends with a process, and takes it along where it fails.
export async function deliver(client: Client, cart: string, drive: (signal: AbortSignal) => Promise<string>) {
  for (;;) {
    await client.start(cart); // a link starts nothing
    try {
      return await client.link(cart, ({ signal }: LinkedTask) => drive(signal));
    } catch (problem) {
      if (!(problem instanceof ProcessExit) || problem.reason.kind !== "moved") throw problem; // a ProcessExit says that the cart has ended, and why
    } // moved: it lives on, at another node; with it there, anew
  }
}
