/**
 * A program in a user namespace of its caller's, where they are root and have the further users that /etc/subuid gives them: what unpacks an image
 * with files of several owners, and mounts its layers, without being root on the machine. user_namespaces(7), newuidmap(1).
 */
import type { IdMapping } from '../../oci/index.js';
import { PlanBuilder } from '../builder.js';
import type { Plan } from '../plan.js';
import { CLONE_NEWNS, CLONE_NEWUSER } from './abi.js';
import type { Caller } from './compilation.js';
import { writeIdMaps } from './id-maps.js';

export interface OwnUsers {
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
}

/** The plan makes the calls of `ID_HELPERS` where the maps have more than the caller. */
export function compileOwnUsers(
  linux: OwnUsers,
  caller: Caller,
  program: { readonly path: string; readonly argv: readonly string[]; readonly env: readonly string[] },
): Plan {
  const builder = new PlanBuilder();
  const { outside, inside } = builder;
  const { pid, pidfd } = outside.clone(
    { lane: 'inside', flags: CLONE_NEWUSER | CLONE_NEWNS, cgroup: 'none' },
    { as: 'program', why: 'a user namespace, and one of mounts that it owns: who is root in there may mount layers' },
  );
  const config = { ociVersion: '1.2.0', linux: { ...linux, namespaces: [{ type: 'user' as const }] } };
  writeIdMaps({ builder, config, caller }, pid, pidfd);
  builder.sync('outside', 'inside', 'its ids are mapped');
  inside.setresgid({ real: 0, effective: 0, saved: 0 }, 'root’s group in there');
  inside.setresuid({ real: 0, effective: 0, saved: 0 }, 'root in there, and the caller as before everywhere else');
  inside.exec({ candidates: [program.path], argv: program.argv, env: program.env }, 'the same command, once more');
  outside.supervise({ pid, state: 'none', listener: 'none' }, 'how it ended is how we end');
  return builder.build();
}
