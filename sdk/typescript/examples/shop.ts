/** A shopping cart service: `node shop.js` in a container beside the sidecar. */
import { Process, Refused, call, info, serve } from "@orrery/sdk";

interface State {
  items: Record<string, number>;
}

export class Cart extends Process<State> {
  static override className = "cart"; // the ProcessClass, declared with `behaviour: {app: {}}`

  override init() {
    this.state = { items: {} }; // plain data: what JSON could say, and byte strings
  }

  @call
  async add(order: { item: string; count?: number }) {
    const { item, count = 1 } = order ?? {}; // what comes is whatever a caller sent
    if (typeof item !== "string" || !Number.isInteger(count)) throw new Refused("invalid_argument", "add takes { item: text, count: integer }");
    const { items } = this.state;
    items[item] = (items[item] ?? 0) + count;
    this.after(1_800_000, "abandoned"); // a timer; set anew with every add
    return Object.values(items).reduce((sum, each) => sum + each, 0);
  }

  @call
  async checkout() {
    const { items } = this.state;
    if (Object.keys(items).length === 0) throw new Refused("conflict", "the cart is empty"); // the caller's error; nothing changes
    const receipt = await this.call("stock/main", "take", items, { timeoutMs: 5000 });
    this.state.items = {};
    this.cancelTimer("abandoned");
    return receipt;
  }

  @info
  abandoned() {
    this.cast(`mail/${this.key}`, "remind", this.state.items);
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  await serve([Cart], { app: "shop 1.4.2" }); // until SIGTERM; then what is at work is finished
}
