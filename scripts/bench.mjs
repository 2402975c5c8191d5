// `npm run bench [-- NAME ...]`: the set-up, then the benchmarks of test/bench; they print ratios, measured side by side.
import { setup, setupIsOver } from './setup.mjs';

await setup({ test: true });
setupIsOver();
const { main } = await import('../dist/test/bench/main.js');
await main(process.argv);
