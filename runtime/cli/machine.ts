/**
 * `tare machine ...`: the lab's virtual machines from the command line. `build` prepares image and snapshot, `list` shows what
 * runs, `shell` and `exec` use a fresh machine that ends with the command.
 */
import { Command } from 'commander';
import { TareError } from '../kernel/error.js';
import { createProvider, type Machine, prepareImage, prepareSnapshot } from '../vm/index.js';
import { listRecords } from '../vm/process-record.js';
import { formatTable, print } from './print.js';

export function machineCommand(): Command {
  const command = new Command('machine')
    .description('Build, list and use the lab’s virtual machines')
    .enablePositionalOptions();
  command.command('build').description('Prepare the machine’s image and its snapshot').action(build);
  command.command('list').description('List the machines that run').option('--json', 'for machines').action(list);
  command
    .command('shell')
    .description('Open a terminal in a fresh machine')
    .option('--cold', 'boot instead of restoring the snapshot')
    .action((options: { cold?: boolean }) => {
      // Before a machine is made for nothing.
      if (!process.stdin.isTTY || !process.stdout.isTTY)
        throw new TareError('usage', 'tare machine shell needs a terminal; use "tare machine exec"');
      return withMachine(options, shell);
    });
  command
    .command('exec')
    .description('Run a command in a fresh machine')
    .option('--cold', 'boot instead of restoring the snapshot')
    .argument('<command...>')
    .passThroughOptions()
    .action((argv: string[], options: { cold?: boolean }) => withMachine(options, (machine) => exec(machine, argv)));
  return command;
}

async function build(): Promise<void> {
  const image = await prepareImage({ onProgress: (sentence, fraction) => say(sentence, fraction * 0.8) });
  const { accelerator } = await prepareSnapshot(image, {
    onProgress: (sentence, fraction) => say(sentence, 0.8 + fraction * 0.2),
  });
  await print(`image ${image.key}, run by ${accelerator === 'kvm' ? 'KVM' : 'TCG (no KVM that works)'}\n`);
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const machines = await listRecords();
  if (json) return print(`${JSON.stringify(machines, null, 2)}\n`);
  const rows = machines.map(({ id, qemu, owner }) => [id, String(qemu.pid), String(owner.pid)]);
  await print(formatTable([['MACHINE', 'QEMU', 'STARTED BY'], ...rows]));
}

/** The command's status becomes ours. */
async function withMachine(options: { cold?: boolean }, work: (machine: Machine) => Promise<number>): Promise<void> {
  const provider = await createProvider({ onProgress: say });
  try {
    const machine = await provider.create({ cold: options.cold, onProgress: (sentence) => say(sentence) });
    const died = machine.ended.then(({ message }) => Promise.reject(new TareError('machine', message)));
    const status = await Promise.race([work(machine), died]);
    process.exitCode = status === -1 ? await died : status; // -1: a terminal whose machine went away
  } finally {
    await provider.close();
  }
}

async function exec(machine: Machine, argv: readonly string[]): Promise<number> {
  const { status, stdout, stderr } = await machine.exec(argv, { maxOutput: 64 << 20 });
  await print(stdout);
  process.stderr.write(stderr);
  return status;
}

async function shell(machine: Machine): Promise<number> {
  const { stdin, stdout } = process;
  const terminal = await machine.openTerminal({ columns: stdout.columns, rows: stdout.rows });
  const resize = () => terminal.resize(stdout.columns, stdout.rows);
  const type = (data: Buffer) => terminal.write(data);
  stdin.setRawMode(true);
  try {
    // Our own terminal's pace is the machine's: what it does not take is not asked for.
    terminal.onData((data) => {
      if (!stdout.write(data)) terminal.pause();
    });
    stdout.on('drain', () => terminal.resume());
    stdout.on('resize', resize);
    stdin.on('data', type);
    return await terminal.exited;
  } finally {
    stdin.setRawMode(false);
    stdin.off('data', type);
    stdin.pause();
    stdout.off('resize', resize);
  }
}

function say(sentence: string, fraction?: number): void {
  const percent = fraction === undefined ? '' : `${String(Math.round(fraction * 100)).padStart(3)} % `;
  process.stderr.write(`${percent}${sentence}\n`);
}
