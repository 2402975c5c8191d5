/** The answers are sets of names, compared with the inodes of /proc/PID/ns. */
import {
  answer,
  hold,
  machineNamespace,
  NAMESPACE_TYPES,
  namespaceOf,
  no,
  outsiders,
  type Process,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';

const checks: Checks = {
  walls: async (probe) => {
    const left = await program(probe, 'left');
    if (!left) return gone(probe);
    const differs = await Promise.all(
      NAMESPACE_TYPES.map(
        async (type) => (await namespaceOf(probe.proc, left.pid, type)) !== (await machineNamespace(probe.proc, type)),
      ),
    );
    return compare(
      probe,
      'walls',
      NAMESPACE_TYPES.filter((_, index) => differs[index]),
    );
  },

  shared: async (probe) => {
    const [left, right] = await Promise.all([program(probe, 'left'), program(probe, 'right')]);
    if (!left || !right) return gone(probe);
    const same = await Promise.all(
      NAMESPACE_TYPES.map(async (type) => {
        const [a, b] = await Promise.all([left, right].map(({ pid }) => namespaceOf(probe.proc, pid, type)));
        return a === b;
      }),
    );
    return compare(
      probe,
      'shared',
      NAMESPACE_TYPES.filter((_, index) => same[index]),
    );
  },
};
export default checks;

/** Both have mount namespaces of their own; a shell script of the same name that the learner starts has not. */
async function program(probe: Probe, name: 'left' | 'right'): Promise<Process | undefined> {
  return hold(probe, name, async () =>
    (await outsiders(probe.proc, 'mnt')).filter((process) => process.comm === probe.vars[name]),
  );
}

async function compare(probe: Probe, name: string, truth: readonly string[]): Promise<Verdict> {
  const where = `/root/answer/${name}`;
  const expected = 'the names of the links in /proc/PID/ns for which this holds';
  const given = (await answer(probe.proc, name))?.split(/[\s,]+/).filter(Boolean);
  if (!given) return no('no-answer', 'there is no answer yet', where, expected);
  const known: readonly string[] = NAMESPACE_TYPES;
  const strange = given.find((word) => !known.includes(word));
  if (strange) return no('unknown-name', `${strange.slice(0, 40)} is no link in /proc/PID/ns`, where, known.join(' '));
  const extra = given.filter((word) => !truth.includes(word));
  if (extra.length > 0)
    return no('extra', `${extra.length} of the names that you wrote should not be there`, where, expected);
  const missing = truth.filter((word) => !given.includes(word));
  if (missing.length > 0) return no('missing', `${given.length} names, and that is not all`, where, expected);
  return yes(truth.join(' '));
}

function gone(probe: Probe): Verdict {
  const expected = 'the two programs that were running at the start';
  return no('process-gone', `${probe.vars.left} or ${probe.vars.right} is not running`, '/proc', expected);
}
