/** Hooks of containers that a library makes: which state they get, what a failure undoes, and that a plan without them has no step more. */
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Container, type CreateOptions, defaultConfig, prepare } from '../../runtime/container/index.js';
import type { Config, Hook, Hooks } from '../../runtime/oci/index.js';
import { planToJson } from '../../runtime/plan/index.js';
import { makeRootfs, noRootfs } from '../harness/rootfs.js';

const missing = process.geteuid?.() === 0 ? noRootfs() : 'a container without a user namespace needs root';

const NAMES = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const;

if (missing !== undefined) it('hooks', (context) => context.skip(missing));
else
  describe('hooks', () => {
    let folder: string;
    let rootfs: string;
    let shared: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'tare-hooks-'));
      chmodSync(folder, 0o755);
      rootfs = makeRootfs(join(folder, 'rootfs'));
    });
    beforeEach(() => {
      shared = mkdtempSync(join(folder, 'shared-'));
      chmodSync(shared, 0o777);
      // Also for root of a user namespace.
      writeFileSync(join(shared, 'log'), '');
      chmodSync(join(shared, 'log'), 0o666);
    });
    afterEach(async () => {
      for (const container of Container.list(join(folder, 'state'))) await container.delete({ force: true });
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    let count = 0;
    const options = (hooks: Hooks, change: (config: Config) => Config = (config) => config): CreateOptions => {
      const config = defaultConfig({
        rootfs,
        args: ['sleep', '1000'],
        mounts: [{ destination: '/shared', type: 'bind', source: shared, options: ['bind'] }],
        caller: { uid: 0, gid: 0 },
      });
      return {
        id: `hooks-${process.pid}-${count++}`,
        bundle: { path: folder, rootfs, config: change({ ...config, hooks, annotations: { a: 'b' } }) },
        stateRoot: join(folder, 'state'),
        supervisor: 'caller',
      };
    };
    /** A hook that writes its name into the log, and its state into a file of its own. */
    const writing = (name: string, then = ''): Hook => {
      const at = name.startsWith('startContainer') ? '/shared' : shared;
      return { path: '/bin/sh', args: ['sh', '-c', `echo ${name} >> ${at}/log; cat > ${at}/${name}; ${then}`] };
    };
    const all = (then: Partial<Record<string, string>> = {}): Hooks =>
      Object.fromEntries(NAMES.map((name) => [name, [writing(name, then[name])]]));
    const log = () => readFileSync(join(shared, 'log'), 'utf8').trim().split('\n');
    const stateOf = (name: string) => JSON.parse(readFileSync(join(shared, name), 'utf8'));

    const withUsers = (config: Config): Config => ({
      ...config,
      linux: {
        ...config.linux,
        namespaces: [...(config.linux?.namespaces ?? []), { type: 'user' }],
        uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
        gidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
      },
    });

    it.each([
      ['', (config: Config) => config],
      [' with a user namespace', withUsers],
    ])('get their state, in their order%s', async (_, change) => {
      const made = options(all(), change);
      const container = await Container.create(made);
      expect(log()).toEqual(['prestart', 'createRuntime', 'createContainer']);
      const { pid } = container.state();
      await container.start();
      expect(log()).toEqual(NAMES.slice(0, -1));
      await container.delete({ force: true });
      expect(log()).toEqual(NAMES);
      const same = { id: made.id, bundle: folder, annotations: { a: 'b' }, ociVersion: expect.stringMatching(/^1\./) };
      expect(NAMES.map(stateOf)).toEqual([
        { ...same, status: 'creating', pid },
        { ...same, status: 'creating', pid },
        { ...same, status: 'creating', pid: 1 },
        { ...same, status: 'created', pid: 1 },
        { ...same, status: 'running', pid },
        { ...same, status: 'stopped' },
      ]);
    });

    it('inside a joined pid namespace get the pid of that one', async () => {
      const first = await Container.create(options({}));
      const path = `/proc/${first.state().pid}/ns/pid`;
      const joined = (config: Config): Config => ({
        ...config,
        linux: {
          ...config.linux,
          namespaces: config.linux?.namespaces?.map((one) => (one.type === 'pid' ? { ...one, path } : one)),
        },
      });
      const container = await Container.create(options(all(), joined));
      await container.start();
      const { pid = 0 } = container.state();
      const inside = Number(/^NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
      expect(inside).toBeGreaterThan(1);
      expect(NAMES.slice(0, -1).map((name) => stateOf(name).pid)).toEqual([pid, pid, inside, inside, pid]);
    });

    it.each(['prestart', 'createRuntime', 'createContainer'] as const)(
      'fail the creation: %s, after which nothing is left and poststop has run',
      async (name) => {
        const made = options(all({ [name]: 'echo what is wrong >&2; exit 3' }));
        const failure = expect.stringMatching(
          new RegExp(`^(?=.*hooks\\.${name}\\[0\\]).*status 3: what is wrong`, 's'),
        );
        await expect(Container.create(made)).rejects.toMatchObject({ code: 'plan', message: failure });
        expect(log()).toEqual([...NAMES.slice(0, NAMES.indexOf(name) + 1), 'poststop']);
        expect(stateOf('poststop')).toMatchObject({ id: made.id, status: 'stopped' });
        expect(readdirSync(join(folder, 'state'))).toEqual([]);
      },
    );

    it('fail the start: startContainer, and its program does not run', async () => {
      const made = options(all({ startContainer: 'echo what is wrong; exit 3' }));
      const container = await Container.create(made);
      await expect(container.start()).rejects.toMatchObject({
        message: expect.stringMatching(/status 3: what is wrong.*hooks\.startContainer\[0\]/),
      });
      expect(container.state().status).toBe('stopped');
      await container.delete();
      expect(log()).toEqual(['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststop']);
      // In one go there is nobody who would delete it.
      await expect(Container.run(options(all({ startContainer: 'exit 3' })))).rejects.toMatchObject({ code: 'plan' });
      expect(log().slice(-2)).toEqual(['startContainer', 'poststop']);
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
    });

    it('that come late warn when they fail, and the others run', async () => {
      const warnings: string[] = [];
      const late = (name: string) => [writing(`${name}-1`, 'exit 1'), writing(`${name}-2`)];
      const made = options({ poststart: late('poststart'), poststop: late('poststop') });
      const container = await Container.create({ ...made, onWarning: (sentence) => warnings.push(sentence) });
      await container.start();
      expect(container.state().status).toBe('running');
      await container.delete({ force: true });
      expect(log()).toEqual(['poststart-1', 'poststart-2', 'poststop-1', 'poststop-2']);
      expect(warnings).toEqual([
        'hooks.poststart[0]: the hook /bin/sh ended with status 1',
        'hooks.poststop[0]: the hook /bin/sh ended with status 1',
      ]);
    });

    it('that cannot be run are hooks that fail, however the kernel says so', async () => {
      // Of ENOENT Node tells by an event, of ENOTDIR by an exception.
      const [gone, within] = [`${folder}/nothing`, '/etc/passwd/hook'];
      for (const path of [gone, within]) {
        const made = Container.create(options({ createRuntime: [{ path }] }));
        await expect(made).rejects.toMatchObject({
          code: 'plan',
          message: expect.stringContaining(`hooks.createRuntime[0]: the hook ${path} cannot be run: ENO`),
        });
      }
      const warnings: string[] = [];
      const made = options({ poststop: [{ path: within }, { path: gone }, writing('poststop')] });
      const container = await Container.create({ ...made, onWarning: (sentence) => warnings.push(sentence) });
      await container.delete({ force: true });
      expect(log()).toEqual(['poststop']);
      expect(warnings).toEqual([
        `hooks.poststop[0]: the hook ${within} cannot be run: ENOTDIR`,
        `hooks.poststop[1]: the hook ${gone} cannot be run: ENOENT`,
      ]);
    });

    it.each(['createRuntime', 'createContainer'] as const)('are killed when their time is over: %s', async (name) => {
      const hook: Hook = { path: '/bin/sleep', args: ['sleep', '1000'], timeout: 1 };
      await expect(Container.create(options({ [name]: [hook] }))).rejects.toMatchObject({
        message: expect.stringMatching(/timeout|ETIME/),
      });
    });

    it('are programs with their own arguments and environment, not of a shell', async () => {
      const script = `{ printf '%s\\n' "$0" "$@"; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_=; pwd; } > ${shared}/got`;
      const args = ['zero', '-c', script, 'name', '$HOME; *', ''];
      process.env.TARE_HOOKS_TEST = 'of the runtime';
      for (const name of ['createRuntime', 'createContainer'] as const) {
        const made = options({ [name]: [{ path: '/bin/sh', args, env: ['A=b=c', 'D='] }] });
        await (await Container.create(made)).delete({ force: true });
        const cwd = name === 'createRuntime' ? folder : rootfs;
        expect(readFileSync(join(shared, 'got'), 'utf8')).toBe(`name\n$HOME; *\n\nA=b=c\nD=\n${cwd}\n`);
      }
    });

    it('can mount into the container: from within, by the paths of the host, and from outside, by its pid', async () => {
      const mount = (part: string) =>
        `mount -t tmpfs tmpfs ${rootfs}/${part} && touch ${rootfs}/${part}/made-by-a-hook`;
      const enter = `nsenter -t $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/') -m sh -c '${mount('var')}'`;
      const made = options(
        {
          createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', enter], env: ['PATH=/usr/bin:/bin'] }],
          createContainer: [{ path: '/bin/sh', args: ['sh', '-c', mount('tmp')], env: ['PATH=/usr/bin:/bin'] }],
        },
        (config) => ({
          ...config,
          root: { path: rootfs, readonly: true },
          process: {
            ...(config.process as NonNullable<Config['process']>),
            args: ['sh', '-c', 'ls /var /tmp > /shared/seen'],
          },
        }),
      );
      const container = await Container.run({ ...made, supervisor: 'stage' });
      await container.wait();
      expect(readFileSync(join(shared, 'seen'), 'utf8')).toBe('/tmp:\nmade-by-a-hook\n\n/var:\nmade-by-a-hook\n');
      expect([...readdirSync(join(rootfs, 'tmp')), ...readdirSync(join(rootfs, 'var'))]).toEqual([]);
    });

    it('are no step of a plan that has none', () => {
      const steps = (hooks: Hooks | undefined) => {
        const { bundle } = options(hooks ?? {});
        const { plan } = prepare({
          id: 'same',
          bundle: { ...bundle, config: { ...bundle.config, hooks } },
          gate: 'socket',
        });
        return planToJson(plan);
      };
      expect(steps({ prestart: [], startContainer: [] })).toEqual(steps(undefined));
      expect(steps({ poststart: [{ path: '/bin/true' }], poststop: [{ path: '/bin/true' }] })).toEqual(
        steps(undefined),
      );
      expect(existsSync(join(folder, 'state', 'same'))).toBe(false);
    });
  });
