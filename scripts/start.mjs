// `npm start`: the set-up, then the lab's server, in this process.
import { setup, setupIsOver } from './setup.mjs';

await setup();
setupIsOver();
const { main } = await import('../dist/web-lab/server/main.js');
await main(process.argv);
