/**
 * The terminals of a session's machine: so many at once and no more, numbered through the whole session, so that a frame for
 * a terminal of an earlier machine can never reach one of the present.
 */
import { TareError } from '../../runtime/kernel/error.js';
import type { Machine, Terminal } from '../../runtime/vm/machine.js';
import type { ServerMessage, TerminalView } from '../protocol.js';
import { type Outlet, TerminalChannel } from './terminal.js';

/** The page's end of the session. */
export interface Page extends Outlet {
  post(message: ServerMessage): void;
}

export class Terminals {
  readonly #open = new Map<number, TerminalChannel>();
  #opening = 0;
  #next = 1;
  /** Counts the machines, so that a terminal which comes too late is noticed. */
  #machine = 0;

  constructor(
    private readonly limit: number,
    private readonly page: () => Page | undefined,
  ) {}

  get all(): Iterable<TerminalChannel> {
    return this.#open.values();
  }

  get views(): TerminalView[] {
    return [...this.#open.values()].map(({ id, title }) => ({ id, title }));
  }

  get(id: number): TerminalChannel | undefined {
    return this.#open.get(id);
  }

  /** Opens one and tells the page. @throws TareError `busy` when there are too many, and what the machine throws. */
  async open(
    machine: Machine,
    size: { columns: number; rows: number },
    title = `Terminal ${this.#open.size + this.#opening + 1}`,
    request?: number,
  ): Promise<Terminal> {
    if (this.#open.size + this.#opening >= this.limit) {
      throw new TareError('busy', `All ${this.limit} terminals are open: close one first.`);
    }
    const machineThen = this.#machine;
    this.#opening += 1;
    try {
      const terminal = await machine.openTerminal({ columns: size.columns, rows: size.rows });
      if (this.#machine !== machineThen) {
        terminal.close();
        throw new TareError('machine', 'The machine went away while the terminal was opened.');
      }
      const id = this.#next++;
      this.page()?.post({ type: 'terminal.opened', request, terminal: { id, title } });
      this.#open.set(id, new TerminalChannel(id, title, terminal, this.page));
      void terminal.exited.then((status) => this.#ended(id, status));
      return terminal;
    } finally {
      this.#opening -= 1;
    }
  }

  /** The machine is gone, and its terminals with it. */
  clear(): void {
    this.#machine += 1;
    for (const [id, terminal] of this.#open) {
      this.#ended(id, -1);
      terminal.close();
    }
  }

  #ended(id: number, status: number): void {
    if (this.#open.delete(id)) this.page()?.post({ type: 'terminal.exited', terminal: id, status });
  }
}
