/**
 * `slice:prefix:name`, the form that `cgroupsPath` has with `--systemd-cgroup`, and where systemd puts the scope that it names.
 * systemd.unit(5), systemd.slice(5): the slice a-b.slice lies in a.slice.
 */
import { TareError } from '../error.js';

/** A scope of systemd: plain data, kept in the container's journal. */
export interface Scope {
  /** `docker-1234.scope`. */
  readonly unit: string;
  /** `system.slice`. */
  readonly slice: string;
  /** The cgroup's path: `/system.slice/docker-1234.scope`. */
  readonly path: string;
  /** The user whose manager has it; 0 is the system's own. */
  readonly uid: number;
}

/**
 * @param cgroupsPath as config.json has it; empty or missing for `system.slice:tare:ID`
 * @throws TareError `config` with path `linux.cgroupsPath`
 */
export function scopeOf(cgroupsPath: string | undefined, id: string, uid: number): Scope {
  const standard = uid === 0 ? 'system.slice' : 'user.slice';
  const parts = cgroupsPath ? cgroupsPath.split(':') : [standard, 'tare', id];
  const [slice = '', prefix = '', name = ''] = parts;
  if (parts.length !== 3)
    refuse(
      `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got ${JSON.stringify(cgroupsPath)} instead`,
    );
  if (name.endsWith('.slice')) refuse(`${JSON.stringify(name)} is a slice; a container gets a scope`);
  const unit = `${prefix === '' ? '' : `${prefix}-`}${name}.scope`;
  if (name === '' || !/^[A-Za-z0-9:_.\\@-]{1,249}$/.test(unit.slice(0, -'.scope'.length)))
    refuse(`${JSON.stringify(unit)} is no name of a systemd unit`);
  // A user's manager has a subtree of its own, which the system's gives it.
  const root = uid === 0 ? '' : `/user.slice/user-${uid}.slice/user@${uid}.service`;
  const used = slice === '' ? standard : slice;
  return { unit, slice: used, path: `${root}${expandSlice(used)}/${unit}`, uid };
}

/** `a-b.slice` lies at `/a.slice/a-b.slice`; `-.slice` is the root itself. */
function expandSlice(slice: string): string {
  const name = slice.slice(0, -'.slice'.length);
  if (name === '-' && slice === '-.slice') return '';
  const parts = name.split('-');
  if (!/^[A-Za-z0-9:_.\\@-]+\.slice$/.test(slice) || slice.length > 255 || parts.includes(''))
    refuse(`${JSON.stringify(slice)} is no slice of systemd`);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('-')}.slice`).join('');
}

function refuse(why: string): never {
  throw new TareError('config', `linux.cgroupsPath: ${why}`, { path: 'linux.cgroupsPath' });
}
