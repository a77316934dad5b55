/** A game room: one process for each room, who is in it and where. Its state is kept on a shelf, as the cart's is. */
import { Process, Refused, call, info } from "@orrery/sdk";

export const WIDTH = 16, HEIGHT = 10;
const PLAYERS_MAX = 100;
const AWAY_MS = 60_000;
const ANSWERED_EACH = 16; // of a player, however many others play
const IDLE_MS = 20_000, WATCHERS_MAX = 500; // a message has at most 1000 effects

type Player = { x: number; y: number; score: number; seen: number };
export type View = { version: number; players: Record<string, Player>; coin: { x: number; y: number } };
type State = { view: View; answered: Record<string, string[]>; watchers: number[] };
type Step = { request: string; player: string; dx?: number; dy?: number };

export class Room extends Process<State> {
  static override className = "room";
  static override stateVersion = 2; // version 1 had one list of answered requests for the whole room

  override async init(key: string) {
    const kept = await this.call<Omit<State, "watchers"> | null>(`shelf/${key}`, "get", "room");
    const view = { version: 0, players: {}, coin: { x: 8, y: 5 } };
    this.state = { view, answered: {}, ...kept, watchers: [] };
    if (Array.isArray(this.state.answered)) this.codeChange(); // what version 1 has kept
    this.after(AWAY_MS, "tidy");
  }

  override codeChange() {
    this.state.answered = {};
  }

  @call
  async join({ request, player }: Step) {
    if (typeof player !== "string" || !/^[\w-]{1,20}$/.test(player) || player in {}) {
      const accepted = "a player's name has 1 to 20 letters, digits, - or _, and is not as 'constructor'";
      throw new Refused("invalid_argument", accepted);
    }
    const { players } = this.state.view;
    if (!(player in players) && Object.keys(players).length >= PLAYERS_MAX) throw new Refused("overloaded", `the room is full: ${PLAYERS_MAX} players`);
    return this.once(player, request, () => {
      players[player] ??= { x: 0, y: 0, score: 0, seen: Date.now() };
    });
  }

  @call
  async move({ request, player, dx = 0, dy = 0 }: Step) {
    const { players, coin } = this.state.view;
    const who = player in {} ? undefined : players[player];
    if (!who) throw new Refused("not_found", `no player '${player}' is in the room; join first`);
    if (![dx, dy].every((step) => [-1, 0, 1].includes(step))) throw new Refused("invalid_argument", "dx and dy are -1, 0 or 1");
    return this.once(player, request, () => {
      who.x = Math.min(WIDTH - 1, Math.max(0, who.x + dx));
      who.y = Math.min(HEIGHT - 1, Math.max(0, who.y + dy));
      who.seen = Date.now();
      if (who.x !== coin.x || who.y !== coin.y) return;
      who.score += 1;
      this.state.view.coin = { x: (coin.x * 7 + who.score) % WIDTH, y: (coin.y * 3 + who.score) % HEIGHT };
    });
  }

  /**
   * Answers at once when there is something newer than `since`, else with the next change, or with what there is
   * after 20 s: what a server follows the room with.
   */
  @call
  watch({ since }: { since: number }) {
    if (since !== this.state.view.version) return this.state.view;
    const { watchers } = this.state;
    const many = watchers.length >= WATCHERS_MAX;
    if (many) throw new Refused("overloaded", `${WATCHERS_MAX} watch the room already; watch again in a while`);
    if (watchers.length === 0) this.after(IDLE_MS, "idle");
    watchers.push(this.replyLater());
    return undefined;
  }

  /** So none is kept that has given up: in a room where nothing happens they would be more and more. */
  @info
  idle() {
    this.tellWatchers();
  }

  @info
  async tidy() {
    const { players } = this.state.view;
    const away = Object.keys(players).filter((name) => Date.now() - players[name]!.seen > AWAY_MS);
    for (const name of away) {
      delete players[name];
      delete this.state.answered[name];
    }
    if (away.length > 0) await this.changed();
    this.after(AWAY_MS, "tidy");
  }

  /** Does it, unless this request of the player was answered before: so whoever heard nothing may ask again. */
  private async once(player: string, request: string, change: () => void) {
    const answered = this.state.answered[player] ?? [];
    if (!answered.includes(request)) {
      change();
      this.state.answered[player] = [...answered, request].slice(-ANSWERED_EACH);
      await this.changed();
    }
    return this.state.view;
  }

  private async changed() {
    const { view, answered } = this.state;
    view.version += 1;
    await this.call(`shelf/${this.key}`, "put", { key: "room", value: { view, answered } });
    this.tellWatchers();
  }

  private tellWatchers() {
    const { view, watchers } = this.state;
    for (const watcher of watchers) this.reply(watcher, view);
    this.state.watchers = [];
  }
}
