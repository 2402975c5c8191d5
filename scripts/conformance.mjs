// `npm run conformance [-- OPTIONS] [NAME ...]`: the set-up, then test/conformance against Tare and runc; `-- --help` tells the options.
import { setup, setupIsOver } from './setup.mjs';

await setup({ test: true, machine: process.argv.includes('--vm') });
setupIsOver();
const { main } = await import('../dist/test/conformance/command.js');
const live = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
let last = '';

/** What is going on: in place on a terminal; elsewhere a line for each part, without the numbers that change. */
function say(sentence) {
  const room = (process.stderr.columns || 80) - 1;
  if (live) process.stderr.write(`\r\x1b[2K${sentence.slice(0, room)}`);
  else if (sentence.split(':')[0] !== last) process.stderr.write(`${sentence}\n`);
  last = sentence.split(':')[0];
}

try {
  const good = await main(process.argv.slice(2), say);
  process.exitCode = good ? 0 : 1;
} catch (error) {
  console.error(`\ntare: ${error?.name === 'TareError' ? error.message : (error?.stack ?? error)}`);
  process.exitCode = 1;
}
if (live) process.stderr.write('\r\x1b[2K');
