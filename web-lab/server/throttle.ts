/**
 * A token bucket: so much at once, so much a second. The lab charges every message of a page to one, and stops reading from
 * the page's socket while it is overdrawn, so that a flood of input or of resizes costs the flooder its own time, and nobody
 * memory.
 */
export class Throttle {
  #level: number;
  #filled = performance.now();

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
  ) {
    this.#level = burst;
  }

  /** Takes `cost`; how many milliseconds to wait before more is read, 0 for none. */
  charge(cost: number): number {
    const now = performance.now();
    this.#level = Math.min(this.burst, this.#level + ((now - this.#filled) / 1000) * this.perSecond);
    this.#filled = now;
    this.#level -= cost;
    return this.#level >= 0 ? 0 : Math.ceil((-this.#level / this.perSecond) * 1000);
  }
}
