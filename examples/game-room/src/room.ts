/** A game room: one process for each room, who is in it and where. Its state is kept on a shelf, as the cart's is. */
import { Process, Refused, call, info } from "@orrery/sdk";

export const WIDTH = 16, HEIGHT = 10;
const PLAYERS_MAX = 100;
const AWAY_MS = 60_000;
const ANSWERED_MAX = 200;

type Player = { x: number; y: number; score: number; seen: number };
export type View = { version: number; players: Record<string, Player>; coin: { x: number; y: number } };
type State = { view: View; answered: string[]; watchers: number[] };
type Step = { request: string; player: string; dx?: number; dy?: number };

export class Room extends Process<State> {
  static override className = "room";

  override async init(key: string) {
    const kept = await this.call<Omit<State, "watchers"> | null>(`shelf/${key}`, "get", "room");
    this.state = { ...(kept ?? { view: { version: 0, players: {}, coin: { x: 8, y: 5 } }, answered: [] }), watchers: [] };
    this.after(AWAY_MS, "tidy");
  }

  @call
  async join({ request, player }: Step) {
    if (typeof player !== "string" || !/^[\w-]{1,20}$/.test(player)) throw new Refused("invalid_argument", "a player's name has 1 to 20 letters, digits, - or _");
    const { players } = this.state.view;
    if (!(player in players) && Object.keys(players).length >= PLAYERS_MAX) throw new Refused("overloaded", `the room is full: ${PLAYERS_MAX} players`);
    return this.once(request, () => {
      players[player] ??= { x: 0, y: 0, score: 0, seen: Date.now() };
    });
  }

  @call
  async move({ request, player, dx = 0, dy = 0 }: Step) {
    const { players, coin } = this.state.view;
    const who = players[player];
    if (!who) throw new Refused("not_found", `no player '${player}' is in the room; join first`);
    if (![dx, dy].every((step) => [-1, 0, 1].includes(step))) throw new Refused("invalid_argument", "dx and dy are -1, 0 or 1");
    return this.once(request, () => {
      who.x = Math.min(WIDTH - 1, Math.max(0, who.x + dx));
      who.y = Math.min(HEIGHT - 1, Math.max(0, who.y + dy));
      who.seen = Date.now();
      if (who.x !== coin.x || who.y !== coin.y) return;
      who.score += 1;
      this.state.view.coin = { x: (coin.x * 7 + who.score) % WIDTH, y: (coin.y * 3 + who.score) % HEIGHT };
    });
  }

  /** Answers at once when there is something newer than `since`, else with the next change: what a server follows the room with. */
  @call
  watch({ since }: { since: number }) {
    if (since !== this.state.view.version) return this.state.view;
    this.state.watchers.push(this.replyLater());
    return undefined;
  }

  @info
  async tidy() {
    const { players } = this.state.view;
    const away = Object.keys(players).filter((name) => Date.now() - players[name]!.seen > AWAY_MS);
    for (const name of away) delete players[name];
    if (away.length > 0) await this.changed();
    this.after(AWAY_MS, "tidy");
  }

  /** Does it, unless this request was answered before: so whoever heard nothing may ask again. */
  private async once(request: string, change: () => void) {
    if (!this.state.answered.includes(request)) {
      change();
      this.state.answered = [...this.state.answered, request].slice(-ANSWERED_MAX);
      await this.changed();
    }
    return this.state.view;
  }

  private async changed() {
    const { view, answered, watchers } = this.state;
    view.version += 1;
    await this.call(`shelf/${this.key}`, "put", { key: "room", value: { view, answered } });
    for (const watcher of watchers) this.reply(watcher, view);
    this.state.watchers = [];
  }
}
