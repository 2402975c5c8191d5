/**
 * One terminal of the machine on its way to the page. The page acknowledges what it has drawn; when more than a window is
 * under way, or the socket has too much to send (a page that acknowledges and does not read), the program in the machine is
 * paused. Nothing here grows with what a program prints: the last output, kept for a page that is reloaded, is bounded too.
 */

import type { Terminal } from '../../runtime/vm/machine.js';
import { WINDOW } from '../protocol.js';

/** Where a terminal's bytes go: the page's socket, while there is one. */
export interface Outlet {
  send(terminal: number, data: Buffer): void;
  /** Bytes handed to the socket that the network has not taken. */
  readonly buffered: number;
}

/** How much of the last output a reloaded page gets to see. */
const KEPT = WINDOW / 2;

export class TerminalChannel {
  #underWay = 0;
  #paused = false;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  readonly #undo: () => void;

  constructor(
    readonly id: number,
    readonly title: string,
    private readonly terminal: Terminal,
    private readonly outlet: () => Outlet | undefined,
  ) {
    this.#undo = terminal.onData((data) => this.#output(data));
  }

  get exited(): Promise<number> {
    return this.terminal.exited;
  }

  /** Whether the program is held back, for want of a page that reads. */
  get paused(): boolean {
    return this.#paused;
  }

  write(data: Uint8Array): void {
    this.terminal.write(data);
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows);
  }

  acknowledge(bytes: number): void {
    this.#underWay = Math.max(0, this.#underWay - bytes);
    this.relieve();
  }

  /** Lets the program go on if what held it back is gone; called on acknowledgement and when the socket has drained. */
  relieve(): void {
    if (!this.#paused || this.#underWay > WINDOW / 2 || (this.outlet()?.buffered ?? 0) > WINDOW) return;
    this.#paused = false;
    this.terminal.resume();
  }

  /** Gives a page that has just come the last output; from here on it acknowledges. */
  replay(outlet: Outlet): void {
    const last = Buffer.concat(this.#kept);
    this.#underWay = last.length;
    if (last.length > 0) outlet.send(this.id, last);
    this.relieve();
  }

  close(): void {
    this.#undo();
    this.terminal.close();
  }

  #output(data: Buffer): void {
    this.#keep(data);
    this.#underWay += data.length;
    const outlet = this.outlet();
    outlet?.send(this.id, data);
    if (!this.#paused && (this.#underWay > WINDOW || (outlet?.buffered ?? 0) > 4 * WINDOW)) {
      this.#paused = true;
      this.terminal.pause();
    }
  }

  #keep(data: Buffer): void {
    this.#kept.push(Buffer.from(data));
    this.#keptBytes += data.length;
    while (this.#keptBytes > KEPT && this.#kept.length > 1) this.#keptBytes -= this.#kept.shift()?.length ?? 0;
    const first = this.#kept[0];
    if (this.#keptBytes > KEPT && first) {
      this.#kept[0] = first.subarray(first.length - KEPT);
      this.#keptBytes = KEPT;
    }
  }
}
