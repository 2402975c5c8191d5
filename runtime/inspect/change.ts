/** One change between two looks at a process: for programs by area, name and values, for people as a sentence. */
import { visible } from './visible.js';

export type ChangeArea =
  | 'process' // another parent, program, session, state
  | 'namespace'
  | 'mount'
  | 'root'
  | 'cgroup'
  | 'limit' // of a cgroup, or a resource limit
  | 'capability'
  | 'identity' // uids, gids, groups
  | 'id-map'
  | 'seccomp'
  | 'no-new-privs'
  | 'label'
  | 'descriptor';

export interface Change {
  readonly area: ChangeArea;
  readonly what: 'added' | 'removed' | 'changed';
  /** What it is about: `mnt`, `/proc`, `effective`, `RLIMIT_NOFILE`. */
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
  /** The sentence for people, safe to print: `mnt namespace: 4026531841 -> 4026532261`. */
  readonly text: string;
}

/** A change of a value, or nothing when it is the same. */
export function value(
  area: ChangeArea,
  name: string,
  before: string | number | null,
  after: string | number | null,
): Change[] {
  if (before === after) return [];
  const show = (x: string | number | null) => (x === null || x === '' ? 'none' : String(x));
  return [change(area, 'changed', name, show(before), show(after), `${name}: ${show(before)} -> ${show(after)}`)];
}

export function change(
  area: ChangeArea,
  what: Change['what'],
  name: string,
  before: string | null,
  after: string | null,
  text: string,
): Change {
  return { area, what, name, before, after, text: visible(text) };
}
