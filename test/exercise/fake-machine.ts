/** A machine of the imagination: files from a map, commands that are written down, activity on demand. */
import type { FileFacts } from '../../runtime/inspect/index.js';
import type {
  ExecOptions,
  ExecResult,
  Machine,
  MachineEnd,
  Terminal,
  TerminalOptions,
} from '../../runtime/vm/index.js';

export class FakeMachine implements Machine {
  readonly id = 'fake';
  readonly accelerator = 'tcg';
  readonly restored = false;
  end: () => void = () => undefined;
  readonly ended = new Promise<MachineEnd>((resolve) => {
    this.end = () => resolve({ reason: 'died', message: 'the machine has ended' });
  });
  readonly files = new Map<string, string>([['/proc/sys/kernel/osrelease', '6.1.0-1-cloud-amd64\n']]);
  readonly links = new Map<string, string>([
    ['/proc/self', '1'],
    ['/proc/self/ns/pid', 'pid:[1]'],
  ]);
  /** Every command that was run. */
  readonly commands: (readonly string[])[] = [];
  result: { status: number; stderr: string } = { status: 0, stderr: '' };
  /** Opens terminals, where a test needs one. */
  terminal: (() => Terminal) | undefined;
  /** How many reads are under way, and the most there ever were. */
  reading = 0;
  readonly #listeners = new Set<() => void>();

  async readFile(path: string): Promise<Buffer> {
    this.reading += 1;
    await new Promise((resolve) => setTimeout(resolve, 2));
    this.reading -= 1;
    return Buffer.from(found(this.files, path));
  }
  async readlink(path: string): Promise<string> {
    return found(this.links, path);
  }
  async readdir(): Promise<string[]> {
    return [];
  }
  async stat(path: string): Promise<FileFacts> {
    found(this.files, path);
    return { dev: 1, ino: 1, mode: 0o100644, uid: 0, gid: 0, size: 0, rdev: 0 };
  }
  async exec(argv: readonly string[], _options?: ExecOptions): Promise<ExecResult> {
    this.commands.push(argv);
    return { status: this.result.status, stdout: Buffer.alloc(0), stderr: Buffer.from(this.result.stderr) };
  }
  async openTerminal(_options: TerminalOptions): Promise<Terminal> {
    if (!this.terminal) throw new Error('no terminal in this test');
    return this.terminal();
  }
  async writeFile(path: string, data: Uint8Array | string): Promise<void> {
    this.files.set(path, String(data));
  }
  async runPlan(): Promise<never> {
    throw new Error('no plans in this test');
  }
  onActivity(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  async close(): Promise<void> {}

  /** Something happens in the machine. */
  act(): void {
    for (const listener of this.#listeners) listener();
  }
  get watched(): boolean {
    return this.#listeners.size > 0;
  }
}

function found(map: ReadonlyMap<string, string>, path: string): string {
  const value = map.get(path);
  if (value === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  return value;
}
