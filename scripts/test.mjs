// `npm test [-- FILTER ...]`: the set-up with what the tests need, then the tests. The last line is the runner's summary.
import { spawn } from 'node:child_process';
import { ROOT, setup, setupIsOver } from './setup.mjs';

await setup({ test: true });
setupIsOver();
const child = spawn('node_modules/.bin/vitest', ['run', ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: ['ignore', 'inherit', 'inherit'],
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
