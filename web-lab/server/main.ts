/**
 * `npm start`, and `node dist/web-lab/server/main.js`: serves the lab on the loopback address until SIGINT or SIGTERM, and
 * then gives every machine back. Exit codes: 0 after a signal, 125 when it could not start (one sentence says why).
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { TareError } from '../../runtime/kernel/error.js';
import { dataRoot } from '../../runtime/kernel/places.js';
import { createProvider } from '../../runtime/vm/index.js';
import { createLab, type Lab } from './app.js';
import { openShelf } from './shelf.js';

const USAGE = `Usage: npm start -- [--port PORT] [--host ADDRESS] [--name NAME]... [--machines N] [--idle MINUTES] [--open]

  --port PORT      where to listen (8273; 0 takes any free port)
  --host ADDRESS   the address to listen on (127.0.0.1); a wider one lets others use this machine
  --name NAME      another host name under which browsers ask for the lab; may be given several times
  --machines N     how many machines may run at once (8)
  --idle MINUTES   how long a machine is kept for a learner who does nothing (30)
  --open           opens the page in a browser, if there is a display
`;

interface Flags {
  readonly port: number;
  readonly host: string;
  readonly names: readonly string[];
  readonly machines: number;
  readonly idleMs: number;
  readonly open: boolean;
  readonly help: boolean;
}

/** Settles when the lab listens; the process lives on until a signal. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    const flags = readFlags(argv.slice(2));
    if (flags.help) process.stdout.write(USAGE);
    else await serve(flags);
  } catch (error) {
    const known = error instanceof TareError;
    console.error(known ? `tare: ${error.message}` : error);
    process.exitCode = known ? error.exitCode : 125;
  }
}

async function serve(flags: Flags): Promise<void> {
  const loopback = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/.test(flags.host);
  const provider = await createProvider({ limit: flags.machines, onProgress: progressLine() });
  let lab: Lab;
  try {
    const progressFile = join(dataRoot(), 'lab', 'progress.json');
    lab = await createLab({ ...flags, provider, library: openShelf(), progressFile });
  } catch (error) {
    await provider.close();
    throw error;
  }
  if (!loopback) {
    console.error(`Warning: the lab listens on ${flags.host}, without encryption. Whoever sees the token can use it.`);
  }
  if (lab.progress.notice) console.error(lab.progress.notice);
  console.log(`\nTare’s lab is open at\n\n  ${lab.url}\n\nCtrl+C closes it.`);
  if (flags.open) openBrowser(lab.url);
  endOnSignals(async () => {
    await lab.close();
    await provider.close();
  });
}

/** The first signal closes in order; a second one does not wait. */
function endOnSignals(close: () => Promise<void>): void {
  // A fault in one learner's machine or exercise must not take the others' machines with it.
  process.on('unhandledRejection', (reason) => console.error('The lab goes on after an error of its own:', reason));
  let ending = false;
  const end = (signal: NodeJS.Signals): void => {
    if (ending) process.exit(signal === 'SIGINT' ? 130 : 143);
    ending = true;
    console.log('\nClosing the lab and its machines.');
    close().then(
      () => process.exit(0),
      (error) => {
        console.error(error);
        process.exit(125);
      },
    );
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
}

function openBrowser(url: string): void {
  if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) {
    console.error('There is no display to open a browser on.');
    return;
  }
  const browser = spawn('xdg-open', [url], { stdio: 'ignore', detached: true });
  browser.on('error', () => console.error('No browser could be opened: xdg-open is missing.'));
  browser.unref();
}

function readFlags(args: readonly string[]): Flags {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw new TareError('usage', `${(error as Error).message}\n${USAGE}`, { cause: error });
  }
  const port = number('--port', values.port, 0, 65535);
  const machines = number('--machines', values.machines, 1, 64);
  const idleMs = number('--idle', values.idle, 1, 1440) * 60_000;
  return { ...values, port, machines, idleMs, names: values.name };
}

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string', default: '8273' },
      host: { type: 'string', default: '127.0.0.1' },
      name: { type: 'string', multiple: true, default: [] },
      machines: { type: 'string', default: '8' },
      idle: { type: 'string', default: '30' },
      open: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return values;
}

function number(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  throw new TareError('usage', `${flag} ${text}: give a number from ${least} to ${most}`);
}

/** Says each new step of a preparation that takes long, on a line of its own. */
function progressLine(): (sentence: string) => void {
  let last = '';
  return (sentence) => {
    if (sentence !== last) console.error(`  ${sentence}`);
    last = sentence;
  };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv);
