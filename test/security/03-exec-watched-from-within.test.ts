/**
 * Attack 3 on `exec`: a process of the container looks all the time for one of the runtime among its own, and tries everything of /proc that
 * would lead out: its memory, program, root, directory and descriptors. CVE-2016-9962.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { ExecOptions } from '../../runtime/container/exec.js';
import type { Step } from '../../runtime/plan/index.js';
import { type Mutable, mapUsers, runBundle, setNamespace } from '../system/bundle.js';
import { joinRunning } from './running.js';

/** Writes what it got out of a process that still is the runtime's afterwards, and that it has met one. */
const WATCH = `
cd /proc
is_stage() { case $(tr '\\0' ' ' < $1/cmdline) in 'stage run'*) return 0;; esac; return 1; }
while :; do
  for p in [0-9]*; do
    is_stage $p || continue
    [ -e /met.$p ] || touch /met.$p
    for what in exe mem environ maps auxv fd/0 fd/1 fd/2 fd/3 fd/4 fd/5 fd/6 fd/7 fd/8 root/. cwd/. task/$p/fd/3 ns/mnt; do
      if [ -d $p/$what ]; then ls $p/$what; else dd if=$p/$what bs=1 count=1; fi >/dev/null 2>&1 && is_stage $p && echo $what >> /got
    done
    ( : >> $p/mem ) 2>/dev/null && is_stage $p && echo write mem >> /got
  done
done 2>/dev/null
`;

type World = readonly [before: readonly string[], edit: (config: Mutable) => void];

const WORLDS = {
  'with the users of the host': [[], () => undefined],
  'with a user namespace': [
    [],
    (config) => {
      setNamespace(config, 'user');
      mapUsers(config);
    },
  ],
  // Who made it has all rights over those who join it.
  'that has made a user namespace by itself, which exec joins': [
    ['busybox', 'unshare', '-U', '-r'],
    ({ linux }) => {
      delete linux.seccomp;
    },
  ],
} satisfies Record<string, World>;

/** What the watcher got of the process that joins, which waits before each step until it has been looked at. */
async function watched([before, edit]: World, change?: (step: Step) => Step): Promise<string> {
  await using it = await runBundle((config) => {
    edit(config);
    config.process.args = [...before, 'sh', '-c', 'touch /ready; until [ -e /watch ]; do sleep 0.1; done; . /watch'];
  });
  const rootfs = join(it.folder, 'rootfs');
  while (!existsSync(join(rootfs, 'ready'))) await sleep(20);
  writeFileSync(join(rootfs, 'got'), '', { mode: 0o666 });
  writeFileSync(join(rootfs, 'watch'), WATCH);
  const met = () => readdirSync(rootfs).filter((name) => name.startsWith('met.')).length;
  let last = '';
  const beforeStep: NonNullable<ExecOptions['driver']>['beforeStep'] = async ({ lane, step }) => {
    if (lane !== 'inside') return;
    while (met() === 0) await sleep(20);
    last = step.kind;
    await sleep(50);
  };
  const joined = await joinRunning(it, { args: ['true'] }, change, { driver: { beforeStep } });
  expect(met()).toBe(1);
  // A namespace in which nobody may set groups is refused, late.
  if (joined.error) expect([last, joined.error.message]).toEqual(['setgroups', expect.stringContaining('EPERM')]);
  else expect([last, joined.code]).toEqual(['exec', 0]);
  return readFileSync(join(rootfs, 'got'), 'utf8');
}

it('it gets out of one that is dumpable what it has open of the host', async () => {
  const dumpable = { option: 4, arg2: 1, arg3: 0, arg4: 0, arg5: 0 };
  const naive = (step: Step) =>
    step.kind === 'setsid' ? ({ ...step, kind: 'prctl', inputs: dumpable, outputs: {} } as Step) : step;
  const got = await watched(WORLDS['that has made a user namespace by itself, which exec joins'], naive);
  for (const what of ['exe', 'environ', 'fd/2', 'root/.']) expect(got.split('\n')).toContain(what);
});

it.each(Object.entries<World>(WORLDS))('a container %s gets nothing', async (_, world) => {
  expect(await watched(world)).toBe('');
});
