import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { AUDIT_ARCH, syscallName, syscallTable } from '../../runtime/kernel/seccomp/index.js';

test('the tables are those of this machine’s kernel headers', (ctx) => {
  if (spawnSync('cc', ['--version']).status !== 0) ctx.skip('needs a C compiler');
  const script = fileURLToPath(new URL('../../scripts/generate-syscalls.mjs', import.meta.url));
  execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
});

test('known numbers', () => {
  expect(syscallTable('x86_64').get('execve')).toBe(59);
  expect(syscallTable('x86').get('execve')).toBe(11);
  expect(syscallTable('x32').get('execve')).toBe(0x40000000 + 520);
  expect(syscallTable('arm64').get('execve')).toBe(221);
  expect(syscallTable('x86_64').get('mseal')).toBe(462);
  expect(syscallTable('x32').get('mseal')).toBe(0x40000000 + 462);
  expect(syscallTable('arm64').has('open')).toBe(false);
});

test('names by number, each in its own architecture', () => {
  expect(syscallName(AUDIT_ARCH.x86_64, 39)).toBe('getpid');
  expect(syscallName(AUDIT_ARCH.x86, 39)).toBe('mkdir');
  expect(syscallName(AUDIT_ARCH.x32, 0x40000000 + 520)).toBe('execve');
  expect(syscallName(AUDIT_ARCH.x86_64, 9999)).toBeUndefined();
  expect(syscallName(0, 39)).toBeUndefined();
});
