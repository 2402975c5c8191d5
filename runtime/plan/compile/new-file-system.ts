/** A new file system as a mount that is attached nowhere yet, with its options and attributes. fsopen(2), fsconfig(2), fsmount(2). */
import { TareError } from '../../kernel/error.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { FSCONFIG_CMD_CREATE, FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from './abi.js';

// #region new-file-system
/** fsopen, fsconfig, fsmount: a file system that is mounted nowhere yet. */
export function newFileSystem(
  lane: LaneBuilder,
  type: string,
  say: { source?: string; data?: readonly string[]; attributes: number; why: string },
): Slot<'fd'> {
  const fs = lane.fsopen({ type, flags: FSOPEN_CLOEXEC }, { as: `${type} context`, why: say.why });
  if (say.source) {
    lane.fsconfig(
      { fs, command: FSCONFIG_SET_STRING, key: 'source', value: say.source, aux: 0 },
      'the name that mountinfo shows',
    );
  }
  for (const option of say.data ?? []) {
    const at = option.indexOf('=');
    const [key, value] = at < 0 ? [option, ''] : [option.slice(0, at), option.slice(at + 1)];
    if (value.length > 255) {
      throw new TareError(
        'unsupported',
        `the mount option ${key}= has more than the 255 characters that fsconfig(2) takes`,
      );
    }
    lane.fsconfig(
      { fs, command: at < 0 ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value, aux: 0 },
      `option ${option}`,
    );
  }
  lane.fsconfig({ fs, command: FSCONFIG_CMD_CREATE, key: '', value: '', aux: 0 }, 'the options are complete: make it');
  const mount = lane.fsmount(
    { fs, flags: FSMOUNT_CLOEXEC, attributes: say.attributes },
    { as: `${type} mount`, why: 'a mount of it, with its attributes, attached nowhere yet' },
  );
  lane.close({ fd: fs }, 'the context has done its work');
  return mount;
}
// #endregion
