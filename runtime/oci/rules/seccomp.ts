/** The rules of `linux.seccomp` between its fields: config-linux.md#seccomp, seccomp_unotify(2). */
import { faultIf, type Rule } from './rule.js';

export const ofSeccomp: Rule = ({ linux }) => {
  const { seccomp } = linux ?? {};
  if (seccomp === undefined) return [];
  const { defaultAction, syscalls = [], listenerPath, listenerMetadata } = seccomp;
  const at = 'linux.seccomp';
  return [
    ...syscalls.flatMap(({ names }, i) =>
      faultIf(names.length === 0, `${at}.syscalls[${i}].names`, 'must not be empty'),
    ),
    ...faultIf(
      Boolean(listenerMetadata) && !listenerPath,
      `${at}.listenerMetadata`,
      'needs listenerPath: whom to tell',
    ),
    ...[
      { path: `${at}.defaultAction`, action: defaultAction },
      ...syscalls.map(({ action }, i) => ({ path: `${at}.syscalls[${i}].action`, action })),
    ].flatMap(({ path, action }) =>
      // A call that asks a listener, and finds none, is answered with ENOSYS: not what the profile says.
      faultIf(
        action === 'SCMP_ACT_NOTIFY' && !listenerPath,
        path,
        `is ${action}, which needs ${at}.listenerPath: whom to ask`,
      ),
    ),
  ];
};
