/**
 * What cgroup-v2-live.test.ts has a virtual machine do: the cgroup library on a kernel that has version 2 alone. Prints one JSON
 * object; the test says what must be in it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const library = '/opt/tare/dist/runtime/kernel';
const cgroup = await import(`${library}/cgroup/index.js`);
const { exactJson } = await import(`${library}/exact-json.js`);

const M = 2 ** 20;
const found = {};
const read = (directory, file) => readFileSync(`${directory}/${file}`, 'utf8').trim();

function make(plan) {
  for (const action of plan.actions) {
    if (action.do === 'mkdir') mkdirSync(action.path, { mode: action.mode });
    else if (action.do === 'chown') chownSync(action.path, action.uid, -1);
    else writeFileSync(action.path, action.value);
  }
}

async function startIn(directory, script) {
  const child = spawn('/bin/sh', ['-c', `echo 0 > ${directory}/cgroup.procs; echo in; ${script}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return child;
}

// Limits, and what they become.
const limits = {
  memory: { limit: 64 * M, swap: 96 * M, reservation: 32 * M, swappiness: 10, disableOOMKiller: true },
  cpu: { shares: 512, quota: 50_000, period: 100_000, burst: 1000, cpus: '0', mems: '0' },
  pids: { limit: 50 },
  blockIO: { weight: 750, throttleReadBpsDevice: [{ major: 254, minor: 0, rate: M }] },
  hugepageLimits: [{ pageSize: '2MB', limit: 0 }],
  unified: { 'memory.high': String(48 * M), 'io.max': '254:16 rbps=2097152 wiops=120\n254:0 wiops=7' },
};
const host = cgroup.detectCgroups();
const plan = cgroup.planCgroup(host, { path: '/live/x', hierarchies: 'all', limits, owner: 1000 });
make(plan);
const directory = plan.into;
const { places } = plan;
found.layout = host.layout;
found.unenforced = plan.unenforced;
found.ignored = plan.ignored.map(({ field }) => field);
found.controllers = [read('/sys/fs/cgroup', 'cgroup.controllers'), read(directory, 'cgroup.controllers')];
const files = ['memory.max', 'memory.swap.max', 'memory.low', 'memory.high', 'cpu.weight', 'cpu.max', 'cpu.max.burst'];
const more = ['cpuset.cpus', 'cpuset.mems', 'pids.max', 'io.max', 'hugetlb.2MB.max', 'hugetlb.2MB.rsvd.max'];
found.files = Object.fromEntries([...files, ...more].map((file) => [file, read(directory, file)]));
found.weight = [read(directory, 'io.weight').split('\n')[0]];
const owners = ['', 'cgroup.procs', 'cgroup.subtree_control', 'memory.max'];
found.owners = owners.map((file) => statSync(`${directory}/${file}`).uid);

// Changes. What swap is allowed follows from the sum, and the sum from before.
const update = (change) => {
  try {
    cgroup.updateCgroup(places, change, limits);
    return 'done';
  } catch (error) {
    return error.message;
  }
};
const memoryNow = () => `${read(directory, 'memory.max')} ${read(directory, 'memory.swap.max')}`;
found.updates = [
  [update({ memory: { limit: 80 * M } }), memoryNow()],
  [update({ memory: { limit: 128 * M } }), memoryNow()],
  [update({ memory: { limit: -1 } }), memoryNow()],
  [update({ cpu: { quota: -1 } }), read(directory, 'cpu.max')],
  [update({ cpu: { idle: 1 } }), read(directory, 'cpu.idle')],
  [update({ cpu: { idle: 0, shares: 1024 } }), read(directory, 'cpu.weight')],
  [update({ cpu: { realtimeRuntime: 5 } }), ''],
  [update({ memory: { limit: 64 * M, swap: 64 * M } }), memoryNow()],
];

// Stopping and going on, and who is in it.
await startIn(directory, 'sleep 1000 & wait');
while (cgroup.processesOf(places).length < 2) await sleep(20);
found.members = cgroup.processesOf(places).length;
await cgroup.freezeCgroup(places);
found.frozen = [cgroup.isFrozen(places), read(directory, 'cgroup.events').includes('frozen 1')];
await cgroup.thawCgroup(places);
found.thawed = [cgroup.isFrozen(places), read(directory, 'cgroup.events').includes('frozen 0')];

// Numbers. A disk is read past the cache, so that it counts.
const reader = await startIn(directory, 'dd if=/dev/vdb of=/dev/null bs=64k count=4 iflag=direct');
await once(reader, 'exit');
const stats = cgroup.cgroupStats(places, []);
found.stats = JSON.parse(exactJson(stats));
found.text = exactJson(cgroup.cgroupStats([{ ...places[0], directory: '/sys/fs/cgroup/live' }]));

// Out of memory.
const events = cgroup.oomEvents(places);
const first = events.next();
const hungry = await startIn(directory, 'exec dd if=/dev/zero of=/dev/null bs=200M count=1');
found.killed = await once(hungry, 'exit');
found.oom = await first;

// A container that has moved its first process down, as systemd does.
mkdirSync(`${directory}/init.scope`);
const moved = await startIn(`${directory}/init.scope`, 'exec sleep 1000');
await cgroup.signalCgroup(places, 0);
for (const pid of read(directory, 'cgroup.procs').split('\n').filter(Boolean))
  writeFileSync(`${directory}/init.scope/cgroup.procs`, pid);
const joined = () => cgroup.cgroupsToJoin(places, moved.pid).map((place) => place.directory);
found.joins = [joined()];
writeFileSync(`${directory}/cgroup.subtree_control`, '+memory');
found.joins.push(joined());
found.sub = cgroup.subCgroup(places, '/init.scope').map((place) => place.directory);

// The end.
const end = events.next();
await cgroup.killCgroup(places);
found.end = await end;
found.left = cgroup.processesOf(places);
await cgroup.removeCgroups(places);
await cgroup.removeCgroup('/sys/fs/cgroup/live', '/sys/fs/cgroup');

// A parent with a process in it can enable nothing for those below: what is not asked for is left out, what is is refused.
mkdirSync('/sys/fs/cgroup/pod');
writeFileSync('/sys/fs/cgroup/pod/cgroup.procs', String((await startIn('/sys/fs/cgroup/pod', 'exec sleep 1000')).pid));
const crowded = cgroup.planCgroup(host, { path: '/pod/x', hierarchies: 'all', limits: { pids: { limit: 5 } } });
found.crowded = crowded.unenforced;
make(crowded);
const pod = [{ ...crowded.places[0], directory: '/sys/fs/cgroup/pod' }];
await cgroup.killCgroup(pod);
await cgroup.removeCgroups(pod);
process.stdout.write(JSON.stringify(found));
