/** `tare stop`: asks a container's program to end, and ends it when it has not done so after a while. */
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { TareError } from '../kernel/error.js';
import { parseSignal, SIGKILL } from '../kernel/signals.js';

export function stopCommand(): Command {
  return new Command('stop')
    .argument('<id...>', 'containers')
    .option('-t, --time <seconds>', 'how long it may take before it is killed; 10 unless told')
    .option('-s, --signal <signal>', 'in place of the STOPSIGNAL of its image, or SIGTERM')
    .addHelpText('after', '\nExamples:\n  tare stop web\n  tare stop -t 60 -s INT web')
    .action(async (ids: string[], { time = '10', signal }: { time?: string; signal?: string }) => {
      if (!/^\d{1,6}$/.test(time)) throw new TareError('usage', `--time ${time}: must be a number of seconds`);
      const wanted = signal === undefined ? undefined : parseSignal(signal);
      for (const id of ids) await stop(Container.open(id), wanted, Number(time) * 1000);
    });
}

/** Who runs it in the foreground removes it. */
async function stop(container: Container, signal: number | undefined, patienceMs: number): Promise<void> {
  const ended = container.ended();
  if (!send(container, signal ?? container.stopSignal)) return;
  using timer = new Timer(patienceMs);
  if ((await Promise.race([ended, timer.isOver])) === OVER) send(container, SIGKILL);
  await ended;
}

const OVER = Symbol('over');

class Timer implements Disposable {
  readonly isOver: Promise<typeof OVER>;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.isOver = new Promise((resolve) => {
      this.#timer = setTimeout(() => resolve(OVER), ms);
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** False when it has ended already, which is all that is wanted. */
function send(container: Container, signal: number): boolean {
  try {
    container.kill(signal);
    return true;
  } catch (error) {
    if (error instanceof TareError && (error.code === 'state' || error.code === 'not-found')) return false;
    throw error;
  }
}
