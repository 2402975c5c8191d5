/** What is compiled for the process itself where this machine cannot run it: security modules, resctrl, what `exec` shares. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { defaultConfig, prepare } from '../../runtime/container/index.js';
import { type Features, probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { type IntelRdt, type Linux, type Process, validConfig } from '../../runtime/oci/index.js';
import { resctrlFolders } from '../../runtime/plan/compile/resctrl.js';
import { finalAffinity, initialAffinity } from '../../runtime/plan/compile/scheduling.js';
import { type Caller, checkPlan, type Plan, PlanBuilder, type Step } from '../../runtime/plan/index.js';
import { ROOT as caller } from '../harness/callers.js';

const rootfs = mkdtempSync(`${tmpdir()}/tare-process-`);
afterAll(() => rmSync(rootfs, { recursive: true }));

const kernel: Features = { ...probeFeatures(), appArmor: true, seLinux: true, resctrl: true };

function compile(process: Partial<Process>, linux: Partial<Linux> = {}, features = kernel, id = 'test'): Plan {
  const config = defaultConfig({ rootfs, args: ['/bin/sh'], caller });
  const changed = {
    ...config,
    process: { ...config.process, ...process },
    linux: { ...config.linux, ...linux },
  };
  const bundle = { path: rootfs, rootfs, config: validConfig(JSON.parse(JSON.stringify(changed))) };
  const { plan } = prepare({ bundle, id, caller, features });
  checkPlan(plan);
  return plan;
}

/** Steps of a lane that a field has caused: kind, and what tells most about each. */
function caused(steps: readonly Step[] | undefined, field: string): string[] {
  return (steps ?? [])
    .filter((step) => step.field === field)
    .map((step) => {
      const { path, data, type } = step.inputs as { path?: string; data?: Uint8Array; type?: string };
      return [step.kind, path ?? type ?? (data && Buffer.from(data).toString())].filter(Boolean).join(' ');
    });
}

const position = (steps: readonly Step[] | undefined, is: (step: Step) => boolean) => (steps ?? []).findIndex(is);

describe('labels of security modules', () => {
  it('are written to a proc of our own, before the root is entered', () => {
    const { inside } = compile({ apparmorProfile: 'docker-default' }).lanes;
    expect(caused(inside, 'process.apparmorProfile')).toEqual([
      'fsopen proc',
      'fsconfig',
      'fsmount',
      'close',
      'expect_fs',
      'openat2 thread-self/attr/apparmor/exec',
      'openat2 thread-self/attr/exec',
      'write exec docker-default',
      'close',
      'close',
    ]);
    const written = position(inside, (step) => step.field === 'process.apparmorProfile');
    expect(written).toBeLessThan(position(inside, (step) => step.kind === 'pivot_root'));
  });

  it('label the keyring that is joined afterwards, too', () => {
    const { inside } = compile({ selinuxLabel: 'system_u:system_r:container_t:s0' }).lanes;
    const writes = caused(inside, 'process.selinuxLabel').filter((step) => /^(write|openat2)/.test(step));
    expect(writes).toEqual([
      'openat2 thread-self/attr/keycreate',
      'write system_u:system_r:container_t:s0',
      'openat2 thread-self/attr/exec',
      'write system_u:system_r:container_t:s0',
    ]);
    const joined = position(inside, (step) => step.kind === 'keyctl_join');
    expect(position(inside, (step) => step.field === 'process.selinuxLabel')).toBeLessThan(joined);
  });

  it('of both may be given', () => {
    const { inside } = compile({ apparmorProfile: 'a', selinuxLabel: 'b' }).lanes;
    expect(caused(inside, 'process.apparmorProfile')).toContain('write exec a');
    expect(caused(inside, 'process.selinuxLabel')).toContain('write b');
    expect((inside ?? []).filter((step) => step.kind === 'fsopen' && step.field.includes('Label'))).toEqual([]);
  });

  it.each([
    ['apparmorProfile', 'AppArmor'],
    ['selinuxLabel', 'SELinux'],
  ] as const)('%s is refused without %s', (field, name) => {
    const poorer = withoutFeatures(kernel, 'appArmor', 'seLinux');
    expect(() => compile({ [field]: 'x' }, {}, poorer)).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        path: `process.${field}`,
        message: expect.stringContaining(`${name} is not enabled in this kernel`),
      }),
    );
  });

  it('that ask for nothing make no step', () => {
    const { inside } = compile({ apparmorProfile: '', selinuxLabel: '' }).lanes;
    expect(caused(inside, 'process.apparmorProfile')).toEqual([]);
    const none = compile({ apparmorProfile: 'unconfined' }, {}, withoutFeatures(kernel, 'appArmor')).lanes;
    expect(caused(none.inside, 'process.apparmorProfile')).toEqual([]);
  });
});

describe('linux.intelRdt', () => {
  const steps = (intelRdt: IntelRdt) => {
    const { outside, inside } = compile({}, { intelRdt }).lanes;
    return { outside: caused(outside, 'linux.intelRdt'), inside: caused(inside, 'linux.intelRdt') };
  };

  it('makes a class of the container’s own, gives it its shares and enters it', () => {
    expect(steps({ l3CacheSchema: 'L3:0=7f0', memBwSchema: 'MB:0=50', schemata: ['L2:0=f'] })).toEqual({
      outside: [
        'openat2 /sys/fs/resctrl',
        'expect_fs',
        'mkdirat test',
        ...['L3:0=7f0', 'MB:0=50', 'L2:0=f'].flatMap((line) => ['openat2 test/schemata', `write ${line}\n`, 'close']),
        'openat2 test/tasks',
        'close',
      ],
      inside: ['write 0', 'close'],
    });
  });

  it('enters a class that is there, and makes one that is given something', () => {
    expect(steps({ closID: 'guests' }).outside.join()).not.toContain('mkdirat');
    expect(steps({ closID: 'guests', memBwSchema: 'MB:0=50' }).outside).toContain('mkdirat guests');
    expect(steps({ closID: '/', schemata: ['MB:0=50'] }).outside).toEqual([
      'openat2 /sys/fs/resctrl',
      'expect_fs',
      'openat2 ./schemata',
      'write MB:0=50\n',
      'close',
      'openat2 ./tasks',
      'close',
    ]);
  });

  it('counts what the container alone uses', () => {
    const { outside, inside } = steps({ closID: 'guests', enableMonitoring: true });
    expect(outside.slice(2)).toEqual([
      'mkdirat guests/mon_groups/test',
      'openat2 guests/tasks',
      'openat2 guests/mon_groups/test/tasks',
      'close',
    ]);
    expect(inside).toEqual(['write 0', 'close', 'write 0', 'close']);
  });

  it.each<[IntelRdt | undefined, string[]]>([
    [undefined, []],
    [{}, ['c1']],
    [{ enableMonitoring: true }, ['c1', 'c1/mon_groups/c1']],
    [{ closID: 'guests', schemata: ['MB:0=50'] }, []],
    [{ closID: 'guests', enableMonitoring: true }, ['guests/mon_groups/c1']],
    [{ closID: '/', enableMonitoring: true }, ['mon_groups/c1']],
  ])('of %j these folders go with the container', (rdt, folders) => {
    expect(resctrlFolders(rdt, 'c1')).toEqual(folders);
  });

  it('is refused where there is no resctrl', () => {
    expect(() => compile({}, { intelRdt: {} }, withoutFeatures(kernel, 'resctrl'))).toThrow(
      'config.json: linux.intelRdt cannot be had: there is no resctrl file system at /sys/fs/resctrl',
    );
  });
});

describe('process.rlimits', () => {
  const limits = (mapped: boolean, who: Partial<Caller>) => {
    const config = defaultConfig({ rootfs, args: ['/bin/sh'], caller });
    const ids = [{ containerID: 0, hostID: 100_000, size: 1000 }];
    const namespaces = [...(config.linux?.namespaces ?? []), ...(mapped ? [{ type: 'user' as const }] : [])];
    const changed = {
      ...config,
      process: { ...config.process, rlimits: [{ type: 'RLIMIT_NPROC', soft: 50, hard: 5000 }] },
      linux: { ...config.linux, namespaces, ...(mapped && { uidMappings: ids, gidMappings: ids }) },
    };
    const bundle = { path: rootfs, rootfs, config: validConfig(JSON.parse(JSON.stringify(changed))) };
    const { plan } = prepare({ bundle, id: 'test', caller: { ...caller, ...who }, features: kernel });
    const show = (steps: readonly Step[] = []) =>
      steps
        .map((step) => (step.kind === 'prlimit' ? Object.values(step.inputs).map(Number) : []))
        .filter((one) => one.length > 0);
    return { outside: show(plan.lanes.outside), inside: show(plan.lanes.inside) };
  };
  const ownLimit = () => ({ soft: 100n, hard: 1000n });
  const wanted = [[6, 50, 5000]];

  it('are raised before a user namespace is entered, where nobody may', () => {
    expect(limits(true, { ownLimit })).toEqual({ outside: [[6, 100, 5000]], inside: wanted });
    expect(limits(false, { ownLimit })).toEqual({ outside: [], inside: wanted });
    expect(limits(true, { ownLimit: () => ({ soft: 100n, hard: 6000n }) })).toEqual({ outside: [], inside: wanted });
  });

  it('stay within the caller’s own, if it may not raise them', () => {
    expect(limits(true, { ownLimit, hardLimit: () => 1000n })).toEqual({ outside: [], inside: [[6, 50, 1000]] });
  });

  it('have the open files of who started the runtime, unless told', () => {
    const openFiles = { soft: 1024n, hard: 4096n };
    expect(limits(false, { openFiles }).inside).toEqual([...wanted, [7, 1024, 4096]]);
  });
});

describe('process.execCPUAffinity', () => {
  const masks = (execCPUAffinity: Process['execCPUAffinity']) => {
    const builder = new PlanBuilder();
    const process: Process = { cwd: '/', user: { uid: 0, gid: 0 }, ...(execCPUAffinity && { execCPUAffinity }) };
    initialAffinity({ process }, builder.outside);
    finalAffinity({ process, builder });
    const { outside, inside = [] } = builder.build().lanes;
    const show = (steps: readonly Step[]) =>
      steps.map((step) => (step.kind === 'sched_setaffinity' ? Buffer.from(step.inputs.mask).toString('hex') : ''));
    return { outside: show(outside), inside: show(inside) };
  };

  it('is where the runtime runs before the cgroup is entered, and where the program runs', () => {
    expect(masks({ initial: '0-3,7', final: '64' })).toEqual({
      outside: ['8f00000000000000'],
      inside: ['00000000000000000100000000000000'],
    });
  });

  it('without a final one, the initial one stays; without both, the program runs wherever its cgroup allows', () => {
    expect(masks({ initial: '1' })).toEqual({ outside: ['0200000000000000'], inside: [] });
    expect(masks(undefined)).toEqual({ outside: [], inside: ['ff'.repeat(1024)] });
  });

  it('of a processor that no kernel has is refused', () => {
    expect(() => masks({ final: '0-9000' })).toThrow('process.execCPUAffinity.final');
  });
});
