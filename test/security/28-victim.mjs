// A process that creates a container and is killed on the way: SIGKILL to itself when stage asks for the step of this number.
import { Container } from 'tare/container';
import { loadBundle } from 'tare/oci';

const [bundle, id, at] = process.argv.slice(2);
let count = 0;
await Container.create({
  id,
  bundle: loadBundle(bundle),
  supervisor: 'caller',
  driver: {
    beforeStep: () => {
      if (count++ === Number(at)) process.kill(process.pid, 'SIGKILL');
    },
  },
});
// There are fewer steps than that: it has created the container, and ends without it.
