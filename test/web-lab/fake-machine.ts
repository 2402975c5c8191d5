/**
 * A machine provider without machines, for tests of the lab's server: terminals echo what is written to them, files come from
 * a map, and a test makes output, activity and death happen. Nothing of the product uses it.
 */
import { TareError } from '../../runtime/kernel/error.js';
import type { Machine, MachineEnd, MachineProvider, Terminal, TerminalOptions } from '../../runtime/vm/machine.js';

export class FakeTerminal implements Terminal {
  readonly pid = 100;
  readonly written: Buffer[] = [];
  readonly sizes: (readonly [number, number])[] = [];
  paused = false;
  closed = false;
  readonly exited: Promise<number>;
  #exit: (status: number) => void = () => undefined;
  #listeners = new Set<(data: Buffer) => void>();

  constructor(readonly options: TerminalOptions) {
    this.exited = new Promise((resolve) => {
      this.#exit = resolve;
    });
    setTimeout(() => this.emit('root@machine:~# '), 1);
  }

  emit(data: Buffer | string): void {
    for (const listener of this.#listeners) listener(Buffer.from(data));
  }

  onData(listener: (data: Buffer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  write(data: Uint8Array | string): void {
    this.written.push(Buffer.from(data as Uint8Array));
    this.emit(Buffer.from(data as Uint8Array));
  }

  resize(columns: number, rows: number): void {
    this.sizes.push([columns, rows]);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  exit(status: number): void {
    this.#exit(status);
  }

  close(): void {
    this.closed = true;
    this.exit(129);
  }
}

export class FakeMachine implements Machine {
  readonly accelerator = 'tcg';
  readonly restored = true;
  readonly terminals: FakeTerminal[] = [];
  readonly files = new Map<string, string>();
  readonly ended: Promise<MachineEnd>;
  closed = false;
  #end: (end: MachineEnd) => void = () => undefined;
  #activity = new Set<() => void>();

  constructor(readonly id: string) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** As if QEMU had been killed. */
  die(message = 'The machine’s QEMU was killed by signal 9.'): void {
    this.#end({ reason: 'died', message });
    for (const terminal of this.terminals) terminal.exit(-1);
  }

  act(): void {
    for (const listener of this.#activity) listener();
  }

  async openTerminal(options: TerminalOptions): Promise<FakeTerminal> {
    const terminal = new FakeTerminal(options);
    this.terminals.push(terminal);
    return terminal;
  }

  async readFile(path: string): Promise<Buffer> {
    const text = this.files.get(path);
    if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    return Buffer.from(text);
  }

  async writeFile(path: string, data: Uint8Array | string): Promise<void> {
    this.files.set(path, Buffer.from(data as Uint8Array).toString('utf8'));
    this.act();
  }

  onActivity(listener: () => void): () => void {
    this.#activity.add(listener);
    return () => this.#activity.delete(listener);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#end({ reason: 'closed', message: 'The machine was closed.' });
  }

  readlink = () => this.#lacks('readlink');
  readdir = () => this.#lacks('readdir');
  stat = () => this.#lacks('stat');
  exec = () => this.#lacks('exec');
  runPlan = () => this.#lacks('runPlan');

  #lacks(what: string): Promise<never> {
    return Promise.reject(new Error(`the fake machine has no ${what}`));
  }
}

export class FakeProvider implements MachineProvider {
  readonly machines: FakeMachine[] = [];
  /** The next machine is not made before this settles. */
  gate: Promise<unknown> = Promise.resolve();

  constructor(private readonly limit = 4) {}

  get usage(): { machines: number; limit: number } {
    return { machines: this.machines.filter(({ closed }) => !closed).length, limit: this.limit };
  }

  /** The machine made last. */
  get last(): FakeMachine {
    const machine = this.machines.at(-1);
    if (!machine) throw new Error('no machine was made');
    return machine;
  }

  async create(): Promise<FakeMachine> {
    const { machines, limit } = this.usage;
    if (machines >= limit) {
      throw new TareError('busy', `All ${limit} machines are in use; close another page of the lab, or wait.`);
    }
    const machine = new FakeMachine(`fake-${this.machines.length + 1}`);
    this.machines.push(machine);
    void machine.ended.then(() => {
      machine.closed = true;
    });
    await this.gate;
    return machine;
  }

  async close(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.close()));
  }
}
