/** A clock for tests: milliseconds since the test began, which pass when they are told to. */

export interface Alarm {
  readonly at: number;
  cancel(): void;
}

interface Set {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

export class Clock {
  now = 0;
  private alarms: Set[] = [];
  private order = 0;

  after(ms: number, action: () => void): Alarm {
    const set: Set = { at: this.now + ms, order: this.order++, action };
    this.alarms.push(set);
    return { at: set.at, cancel: () => (this.alarms = this.alarms.filter((each) => each !== set)) };
  }

  /** Moves to the next alarm and does it. False where none is due until then: the clock is there now. */
  fireNext(until: number): boolean {
    const next = this.alarms.filter((each) => each.at <= until).sort((a, b) => a.at - b.at || a.order - b.order)[0];
    if (!next) {
      this.now = until;
      return false;
    }
    this.alarms = this.alarms.filter((each) => each !== next);
    this.now = next.at;
    next.action();
    return true;
  }
}
