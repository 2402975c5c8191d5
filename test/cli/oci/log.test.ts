/** The words by which engines tell errors apart, before the sentence of Tare's own. */
import { expect, it } from 'vitest';
import { checkLog, withEngineWords } from '../../../runtime/cli/oci/log.js';
import { type ErrorCode, TareError } from '../../../runtime/kernel/error.js';

it.each<[ErrorCode, string, string, string?]>([
  ['command-not-found', '"sh": command not found', 'exec: "sh": executable file not found in $PATH: '],
  ['command-not-found', '"/x/y": command not found', 'exec /x/y: no such file or directory: '],
  ['command-not-executable', '"/etc": cannot be executed', 'exec: "/etc": permission denied: '],
  ['command-not-found', '"sh": execve("/bin/sh"): ENOENT', 'exec: "sh": executable file not found in $PATH: '],
  ['not-found', 'there is no container web', 'container does not exist: '],
  ['not-found', 'ps is not here', ''],
  ['permission', 'only root may', 'permission denied: '],
  ['plan', 'call("hooks"): EIO: hooks.createRuntime[1]: the hook ended', 'error running createRuntime hook #1: '],
  ['plan', 'run(["/h"]): ECHILD (hooks.startContainer[0]: a hook)', 'error running startContainer hook #0: '],
  ['config', 'config.json: linux.memoryPolicy.nodes must be a list', 'invalid memory policy node: '],
  ['config', 'config.json: linux.memoryPolicy is no object', ''],
  ['plan', 'mount("proc"): EINVAL (mounts[0])', ''],
  ['plan', 'mount("proc"): EPERM (mounts[0])', '', ': operation not permitted'],
  ['plan', 'mkdir_in_root(rootfs, "/proc/x", 0755): mkdirat: ENOENT (mounts[7])', ''],
  ['plan', 'mkdir_in_root(rootfs, "/etc/passwd"): ENOTDIR (mounts[7])', '', ': not a directory'],
  [
    'plan',
    'openat2("/a"): ENOENT (process.cwd: where it starts)',
    'chdir to cwd failed: ',
    ': no such file or directory',
  ],
  ['plan', 'openat2("/a"): EACCES (process.cwd: where it starts)', 'chdir to cwd failed: ', ': permission denied'],
  ['not-found', 'the root file system /x: ENOENT: no such file or directory', ''],
  ['permission', 'open("/x"): EACCES', 'permission denied: '],
])('%s: %s', (code, message, words, after = '') => {
  const told = withEngineWords(new TareError(code, message)) as TareError;
  expect(told.message).toBe(words + message + after);
  expect(told.code).toBe(code);
});

it('says no words twice, and leaves what is no error of ours', () => {
  const said = new TareError('permission', 'open: permission denied');
  expect(withEngineWords(said)).toBe(said);
  const other = new Error('x');
  expect(withEngineWords(other)).toBe(other);
});

it('refuses a log that cannot be written, before anything is done', () => {
  const log = '/proc/nowhere/log';
  const sentence = /^--log \/proc\/nowhere\/log cannot be written: ENOENT/;
  expect(() => checkLog({ log, logFormat: 'text', rootless: 'auto' })).toThrow(sentence);
  expect(() => checkLog({ logFormat: 'text', rootless: 'auto' })).not.toThrow();
});
