/**
 * Hooks, where the plan comes to them. Those in the runtime's namespaces are a call, answered by TypeScript: the mounts are made and the
 * root is not changed yet. Those in the container's are ordinary steps, inside: before the root is changed, and right before the
 * program. poststart and poststop are no part of the plan. config.md#posix-platform-hooks, runtime.md#lifecycle
 */
import type { Hook } from '../../oci/index.js';
import type { About } from '../builder.js';
import type { Slot } from '../plan.js';
import type { Compilation } from './compilation.js';

/** The call steps of hooks, by what they ask for. */
export const HOOK_CALLS = {
  /** Runs the prestart and createRuntime hooks. */
  run: 'hooks',
  /** Answers with a memory file that holds the state for createContainer hooks. */
  creating: 'hooks-state-creating',
  /** The same for startContainer hooks, of which the state says `created`. */
  created: 'hooks-state-created',
} as const;

/**
 * prestart, createRuntime and createContainer, in this order. Returns what startContainer hooks will read: it must be kept open until
 * then. Without hooks there is no step.
 */
export function runCreateHooks(compilation: Compilation, rootfs: Slot<'fd'>): Slot<'fd'> | undefined {
  const {
    prestart = [],
    createRuntime = [],
    createContainer = [],
    startContainer = [],
  } = compilation.config.hooks ?? {};
  const ofRuntime = [...prestart, ...createRuntime];
  if (ofRuntime.length + createContainer.length + startContainer.length === 0) return undefined;
  const { builder } = compilation;
  builder.sync('inside', 'outside', about('hooks', 'the mounts are made, and the host’s root is still there'));
  if (ofRuntime.length > 0) {
    builder.outside
      .for('hooks')
      .call(
        { name: HOOK_CALLS.run, fd: 'none' },
        'hooks in the namespaces of the runtime: prestart, then createRuntime',
      );
  }
  const creating = createContainer.length > 0 ? stateFor(compilation, HOOK_CALLS.creating) : undefined;
  const created = startContainer.length > 0 ? stateFor(compilation, HOOK_CALLS.created) : undefined;
  if (!creating && !created) builder.sync('outside', 'inside', about('hooks', 'these hooks have run'));
  if (creating) {
    const inside = builder.inside.for('hooks.createContainer');
    inside.fchdir(
      { fd: rootfs },
      'these hooks start in the root of the container, which they know by the paths of the host',
    );
    inside.umask({ mask: 0o022 }, 'what they make is not for everyone to write');
    runAll(compilation, 'createContainer', createContainer, creating);
    inside.umask({ mask: 0 }, 'again exactly the modes that are named');
    inside.close({ fd: creating }, 'read');
  }
  return created;
}

/** The last before the program: with its user, its rights and its root. */
export function runStartHooks(compilation: Compilation, state: Slot<'fd'> | undefined): void {
  if (state === undefined) return;
  // Without an environment of its own such a hook has the program's: so runc has it, and hooks have come to rely on it.
  const { env: own } = compilation.process;
  const hooks = compilation.config.hooks?.startContainer?.map((hook) => ({ ...hook, env: hook.env ?? own }));
  runAll(compilation, 'startContainer', hooks ?? [], state);
  compilation.builder.inside.for('hooks.startContainer').close({ fd: state }, 'read; the program must not find it');
}

/** Gets the state that hooks will read to where they run. The pid in it is the one by which the container knows itself. */
function stateFor({ builder }: Compilation, name: string): Slot<'fd'> {
  const outside = builder.outside.for('hooks');
  const state = outside.call({ name, fd: 'none' }, { as: 'state for hooks', why: 'what the hooks inside read' });
  const passed = builder.pass('outside', 'inside', state, about('hooks', 'the state, for the hooks inside'));
  outside.close({ fd: state }, 'passed on');
  return passed;
}

/** A plan counts in 32 bit milliseconds; who asks for more than 24 days waits so long. */
const LONGEST = 2 ** 31 - 1;

function runAll({ builder }: Compilation, name: string, hooks: readonly Hook[], input: Slot<'fd'>): void {
  hooks.forEach(({ path, args, env = [], timeout = 0 }, i) => {
    builder.inside.for(`hooks.${name}[${i}]`).run(
      {
        candidates: [path],
        argv: args && args.length > 0 ? args : [path],
        env,
        input,
        timeout: Math.min(timeout * 1000, LONGEST),
      },
      `a ${name} hook; when it fails, so does the container`,
    );
  });
}

function about(field: string, why: string): About {
  return { field, why };
}
