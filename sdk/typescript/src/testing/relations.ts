/** What processes under test are to each other: members of groups, watched, asked. */
import { OrreryError, Refused } from "../errors.js";
import { isPid, parseName } from "../names.js";
import type { Down, Reason } from "../reason.js";
import type { InfoSource } from "../work.js";
import type { Engine } from "./engine.js";
import type { Life } from "./life.js";

/** A plain message that a handler sent: to a process under test, which got it if it ran, or to another. */
export interface Sent {
  readonly to: string;
  readonly word: string;
  readonly argument: any;
}

/** What a handler published; the members under test got it. */
export interface Published {
  readonly group: string;
  readonly word: string;
  readonly argument: any;
}

/** A request or a monitor, which another of its name replaces. */
interface Pending {
  readonly life: Life;
  readonly name: string;
  /** What is watched: a process here, or another by its text. Undefined: it is a request. */
  readonly watched?: Life | string;
  readonly to: string;
}

export class Relations {
  readonly sent: Sent[] = [];
  readonly published: Published[] = [];
  private readonly groups = new Map<string, Map<Life, number>>();
  private pending: Pending[] = [];

  constructor(private readonly engine: Engine) {}

  /** Does nothing where the effect is none of these. */
  carryOut(life: Life, effect: Record<string, any>): void {
    if (effect["send"]) this.send(effect["send"]);
    if (effect["publish"]) this.publish(effect["publish"]);
    if (effect["join"]) this.join(life, effect["join"]);
    if (effect["leave"]) this.leave(life, effect["leave"]);
    if (effect["call"]) this.request(life, effect["call"]);
    if (effect["monitor"]) this.monitor(life, effect["monitor"]);
    if (effect["demonitor"]) this.drop(life, effect["demonitor"]);
  }

  // ---- messages ----

  private send(sent: Sent): void {
    this.sent.push(sent);
    const life = this.engine.lifeAt(sent.to);
    if (life) this.inform(life, sent.word, "message", sent.argument);
  }

  private publish(published: Published): void {
    this.published.push(published);
    this.deliver(published);
  }

  /** To how many. */
  deliver({ group, word, argument }: Published): number {
    const members = [...(this.groups.get(group)?.keys() ?? [])];
    for (const life of members) this.inform(life, word, "message", argument);
    return members.length;
  }

  private inform(life: Life, method: string, source: InfoSource, argument: unknown): void {
    this.engine.push(life, { callback: "info", method, argument, source });
  }

  // ---- groups ----

  private join(life: Life, group: string): void {
    const members = this.groups.get(group) ?? new Map<Life, number>();
    this.groups.set(group, members.set(life, (members.get(life) ?? 0) + 1));
  }

  private leave(life: Life, group: string): void {
    const members = this.groups.get(group);
    const times = members?.get(life) ?? 0;
    if (times > 1) members?.set(life, times - 1);
    else members?.delete(life);
  }

  members(group: string): Life[] {
    return [...(this.groups.get(group)?.keys() ?? [])];
  }

  groupsOf(life: Life): string[] {
    return [...this.groups].filter(([, members]) => members.has(life)).map(([group]) => group).sort();
  }

  // ---- requests and monitors ----

  private request(life: Life, { name, to, method, argument, timeoutMs = 5000 }: { name: string; to: string; method: string; argument: unknown; timeoutMs?: number }): void {
    this.drop(life, name);
    const request: Pending = { life, name, to };
    this.pending.push(request);
    const answer = (reply: object) => this.take(request) && this.inform(life, name, "reply", reply);
    this.ask(to, method, argument, timeoutMs).then(
      (ok) => answer({ ok }),
      (problem: unknown) => answer({ error: errorFields(problem) }),
    );
  }

  private async ask(to: string, method: string, argument: unknown, timeoutMs: number): Promise<unknown> {
    const name = isPid(to) ? this.engine.lifeAt(to)?.name : parseName(to);
    if (!name) throw new OrreryError("not_found", `${to} does not run`, "not_executed");
    return this.engine.ask(name, method, argument, timeoutMs);
  }

  private monitor(life: Life, { name, to }: { name: string; to: string }): void {
    this.drop(life, name);
    const here = isPid(to) || this.engine.definitions.has(parseName(to).className);
    const watched = this.engine.lifeAt(to) ?? (here ? undefined : to);
    if (watched) this.pending.push({ life, name, watched, to });
    else this.inform(life, name, "down", { pid: isPid(to) ? to : null, reason: { kind: "noproc", text: "" } } satisfies Down);
  }

  /** Nothing comes of it any more, also where it waits in the mailbox already. */
  private drop(life: Life, name: string): void {
    this.pending = this.pending.filter((each) => each.life !== life || each.name !== name);
    life.mailbox = life.mailbox.filter(({ method, source }) => method !== name || (source !== "reply" && source !== "down"));
  }

  /** Whether it was still there. */
  private take(one: Pending): boolean {
    const index = this.pending.indexOf(one);
    if (index >= 0) this.pending.splice(index, 1);
    return index >= 0;
  }

  /** What a process watches, by the names of its monitors. */
  monitorsOf(life: Life): Record<string, string> {
    return Object.fromEntries(this.pending.filter((each) => each.life === life && each.watched).map(({ name, to }) => [name, to]));
  }

  /** Who watches it hears of its end; how many. `of`: a process here, or another by its text. */
  tellDown(of: Life | string, pid: string | null, reason: Reason): number {
    const watching = this.pending.filter(({ watched }) => watched === of);
    for (const one of watching) if (this.take(one)) this.inform(one.life, one.name, "down", { pid, reason } satisfies Down);
    return watching.length;
  }

  // ---- lives ----

  ended(life: Life, reason: Reason): void {
    for (const members of this.groups.values()) members.delete(life);
    this.pending = this.pending.filter((each) => each.life !== life);
    this.tellDown(life, life.pid, reason);
  }

  /** Its monitors stay behind, and its requests are answered that it did not hear of. */
  moved(life: Life, before: string): void {
    this.tellDown(life, before, { kind: "moved", text: "" });
    for (const one of this.pending.filter((each) => each.life === life)) {
      if (!this.take(one) || one.watched) continue;
      const error = new OrreryError("unavailable", `${one.to} was asked from another node`, "unknown");
      this.inform(life, one.name, "reply", { error: errorFields(error) });
    }
  }
}

/** As a frame has them. */
function errorFields(problem: unknown): { code: string; text: string; effect: string } {
  if (problem instanceof OrreryError || problem instanceof Refused) return { code: problem.code, text: problem.text, effect: problem.effect };
  return { code: "process_exited", text: `error: ${problem instanceof Error ? problem.message : String(problem)}`, effect: "unknown" };
}
