/** dockerd with Tare as a runtime: what `docker run`, `exec` and the others do by it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Docker } from './docker.js';
import { onTerminal, RUNTIME, until, untilCgroupsCanBeCounted } from './engine.js';

describe('dockerd', { timeout: 180_000 }, () => {
  let docker: Docker;
  let shared: string;
  beforeAll(async () => {
    docker = await Docker.open('docker');
    shared = join(docker.place.folder, 'shared');
    mkdirSync(shared);
    writeFileSync(join(shared, 'file'), 'of the host\n');
  });
  afterAll(() => docker?.place.close());

  it('knows the runtime', async () => {
    const runtimes = JSON.parse(await docker.ok('info', '--format', '{{json .Runtimes}}')) as Record<string, unknown>;
    expect(runtimes.tare).toEqual({ path: RUNTIME });
    const components = JSON.parse(await docker.ok('version', '--format', '{{json .Server.Components}}'));
    expect(components).toContainEqual(
      expect.objectContaining({ Name: 'tare', Version: expect.stringMatching(/^\d+\.\d+\.\d+$/) }),
    );
  });

  it('gives the exit code of the program, 126 and 127', async () => {
    const codes = await Promise.all(
      [['true'], ['sh', '-c', 'exit 7'], ['/etc/passwd'], ['no-such-program'], ['/no/such/path']].map(
        async (command) => (await docker.run([], command)).status,
      ),
    );
    expect(codes).toEqual([0, 7, 126, 127, 127]);
  });

  it('passes standard input and output, or a terminal', async () => {
    expect(await docker.run(['--interactive'], ['cat'], 'typed\n')).toMatchObject({ status: 0, stdout: 'typed\n' });
    const script = 'tty; test -t 0 -a -t 1 -a -t 2; echo $?; hostname; exit 3';
    const command = docker.command(
      'run',
      '--rm',
      '-it',
      '--hostname',
      'named',
      '--network',
      'none',
      'box',
      'sh',
      '-c',
      script,
    );
    const { status, stdout } = await docker.place.run(onTerminal(command));
    expect([status, stdout.replaceAll('\r', '')]).toEqual([3, expect.stringContaining('/dev/pts/0\n0\nnamed\n')]);
  });

  it('makes what the options ask for', async () => {
    const options = [
      ...['--hostname', 'named', '--memory', '64m', '--cpus', '0.5', '--pids-limit', '50', '--cpuset-cpus', '0'],
      ...['--volume', `${shared}:/rw`, '--volume', `${shared}:/ro:ro`, '--tmpfs', '/scratch:size=1m', '--read-only'],
      ...['--cap-drop', 'ALL', '--cap-add', 'NET_RAW', '--security-opt', 'no-new-privileges', '--shm-size', '2m'],
      ...['--device', '/dev/zero:/dev/nought', '--ulimit', 'nofile=100:200', '--sysctl', 'net.ipv4.ip_forward=1'],
      ...['--env', 'A=b', '--workdir', '/tmp', '--user', '1000:1000', '--group-add', '44', '--oom-score-adj', '500'],
      ...['--tmpfs', '/own:mode=1777', '--label', 'x=y', '--add-host', 'other:192.0.2.1'],
    ];
    const script = `
      hostname; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us
      cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpuset/cpuset.cpus
      cat /rw/file; touch /ro/x 2>/dev/null || echo refused; touch /x 2>/dev/null || echo refused; touch /own/x && echo made
      grep ' /scratch ' /proc/mounts | grep -o size=1024k; grep ' /dev/shm ' /proc/mounts | grep -o size=2048k
      grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t '
      head -c 2 /dev/nought | wc -c; ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_forward
      echo $A $PWD; id -u; id -G; cat /proc/self/oom_score_adj; grep other /etc/hosts | cut -c1-9`;
    expect((await docker.sh(options, script)).split('\n')).toEqual([
      ...[
        'named',
        '67108864',
        '50000',
        '50',
        '0',
        'of the host',
        'refused',
        'refused',
        'made',
        'size=1024k',
        'size=2048k',
      ],
      ...['CapBnd:0000000000002000', 'NoNewPrivs:1', 'Seccomp:2', '2', '100', '200', '1'],
      ...['b /tmp', '1000', '1000 44', '500', '192.0.2.1'],
    ]);
    expect(await docker.sh(['--volume', `${shared}:/rw`], 'echo container > /rw/made && echo done')).toBe('done');
    expect(readFileSync(join(shared, 'made'), 'utf8')).toBe('container\n');
  });

  it('runs with init, privileged, without a filter, and in the namespaces of the host', async () => {
    const [init, privileged, unconfined, host] = await Promise.all([
      docker.sh(['--init'], 'cat /proc/1/comm; echo $(($$ != 1))'),
      docker.sh(
        ['--privileged'],
        'grep Seccomp: /proc/self/status | cut -f2; test -c /dev/loop-control; ls /dev | grep -c -x kmsg',
      ),
      docker.sh(['--security-opt', 'seccomp=unconfined'], 'grep Seccomp: /proc/self/status | cut -f2'),
      docker.sh(
        ['--network', 'host', '--pid', 'host', '--uts', 'host', '--ipc', 'host'],
        'cat /proc/1/comm; readlink /proc/self/ns/net',
      ),
    ]);
    expect([init, privileged, unconfined]).toEqual(['docker-init\n1', '0\n1', '0']);
    expect(host).toBe(await docker.place.ok(['sh', '-c', 'cat /proc/1/comm; readlink /proc/self/ns/net']));
  });

  it('starts programs in a running container', () =>
    docker.up('exec', [], ['sleep', '1000'], async () => {
      const exec = (...args: string[]) => docker.call(['exec', ...args], 'typed\n');
      expect(await exec('-i', 'exec', 'cat')).toMatchObject({ status: 0, stdout: 'typed\n' });
      const script = 'id -u; echo $A; pwd; cat /proc/1/comm; exit 4';
      const given = await exec('-u', '1000', '-e', 'A=b', '-w', '/tmp', 'exec', 'sh', '-c', script);
      expect(given).toMatchObject({ status: 4, stdout: '1000\nb\n/tmp\nsleep\n' });
      expect((await exec('exec', 'no-such-program')).status).toBe(126); // of Docker 20.10, as with runc
      await docker.ok('exec', '--detach', 'exec', 'touch', '/tmp/detached');
      expect(
        await until('/tmp/detached\n', async () => (await exec('exec', 'ls', '/tmp/detached')).stdout),
      ).toBeTruthy();
      const { status, stdout } = await docker.place.run(onTerminal(docker.command('exec', '-it', 'exec', 'tty')));
      expect([status, stdout]).toEqual([0, expect.stringMatching(/\/dev\/pts\/\d/)]);
    }));

  it('signals, stops, kills and starts again', async () => {
    const script = 'trap "echo got; exit 3" TERM; trap "echo one" USR1; echo up; while :; do sleep 0.1; done';
    await docker.up('signals', [], ['sh', '-c', script], async () => {
      const log = () => docker.ok('logs', 'signals');
      expect(await until('up', log)).toBe('up');
      await docker.ok('kill', '--signal', 'USR1', 'signals');
      expect(await until('up\none', log)).toBe('up\none');
      await docker.ok('stop', 'signals');
      expect(await docker.inspect('signals', '{{.State.Status}} {{.State.ExitCode}}')).toBe('exited 3');
      await docker.ok('start', 'signals');
      expect(await until('up\none\ngot\nup', log)).toBe('up\none\ngot\nup');
      await docker.ok('kill', 'signals');
      expect(await docker.ok('wait', 'signals')).toBe('137');
    });
  });

  it('pauses, shows, counts and changes a running container', async () => {
    await untilCgroupsCanBeCounted();
    await docker.up('changing', ['--memory', '64m'], ['sleep', '1000'], async () => {
      const status = () => docker.inspect('changing', '{{.State.Status}}');
      await docker.ok('pause', 'changing');
      expect(await status()).toBe('paused');
      await docker.ok('unpause', 'changing');
      expect(await status()).toBe('running');
      expect(await docker.ok('top', 'changing', '-o', 'pid,comm')).toMatch(/\d+ +sleep$/);
      expect(await docker.ok('stats', '--no-stream', '--format', '{{.PIDs}} {{.MemUsage}}', 'changing')).toMatch(
        /^1 .* 64MiB$/,
      );
      await docker.ok('update', '--memory', '48m', '--memory-swap', '48m', '--cpus', '0.25', 'changing');
      const limits = ['memory/memory.limit_in_bytes', 'cpu/cpu.cfs_quota_us'].map((file) => `/sys/fs/cgroup/${file}`);
      expect(await docker.ok('exec', 'changing', 'cat', ...limits)).toBe('50331648\n25000');
    });
  });

  it('joins the namespaces of another container, and looks after its health', () =>
    docker.up(
      'first',
      ['--ipc', 'shareable', '--health-cmd', 'true', '--health-interval', '200ms'],
      ['sleep', '1000'],
      async () => {
        const options = ['network', 'pid', 'ipc'].flatMap((kind) => [`--${kind}`, 'container:first']);
        const links = 'for n in net ipc pid; do readlink /proc/self/ns/$n; done';
        expect(await docker.sh(options, `cat /proc/1/comm; ${links}`)).toBe(
          `sleep\n${await docker.ok('exec', 'first', 'sh', '-c', links)}`,
        );
        expect(await until('healthy', () => docker.inspect('first', '{{.State.Health.Status}}'))).toBe('healthy');
      },
    ));

  it('restarts what has failed, and tells of a lack of memory', async () => {
    await docker.up('again', ['--restart', 'on-failure:2'], ['sh', '-c', 'echo ran; exit 1'], async () => {
      expect(await until('2 exited', () => docker.inspect('again', '{{.RestartCount}} {{.State.Status}}'))).toBe(
        '2 exited',
      );
      expect(await docker.ok('logs', 'again')).toBe('ran\nran\nran');
    });
    await untilCgroupsCanBeCounted();
    await docker.up('hungry', ['--memory', '16m', '--memory-swap', '16m'], ['tail', '/dev/zero'], async () => {
      expect(await docker.ok('wait', 'hungry')).toBe('137');
      expect(await docker.inspect('hungry', '{{.State.OOMKilled}}')).toBe('true');
    });
  });
});

describe('dockerd with a user namespace for all containers', { timeout: 180_000 }, () => {
  it('maps their users, and lets one join the network of another with the users that it belongs to', async () => {
    const place = 'remap';
    const docker = await Docker.open(place, ['--userns-remap', 'daemon:daemon']);
    try {
      const script =
        'cat /proc/self/uid_map | tr -s " "; id -u; touch /made && stat -c %u /made; grep " /t " /proc/mounts | grep -o uid=.*,';
      expect(await docker.sh(['--tmpfs', '/t', '--memory', '64m', '--init'], script)).toBe(
        ' 0 100000 65536\n0\n0\nuid=100000,',
      );
      expect(await docker.sh(['--userns', 'host'], 'tr -s " " < /proc/self/uid_map')).toBe(' 0 0 4294967295');
      await docker.up('first', ['--ipc', 'shareable'], ['sleep', '1000'], async () => {
        const links = 'for n in user net ipc pid; do readlink /proc/self/ns/$n; done';
        const [user, network, ...others] = (await docker.ok('exec', 'first', 'sh', '-c', links)).split('\n');
        const joined = (await docker.sh(['--network', 'container:first'], links)).split('\n');
        expect(joined.slice(0, 2)).toEqual([user, network]);
        for (const other of others) expect(joined).not.toContain(other);
        const options = ['network', 'pid', 'ipc'].flatMap((kind) => [`--${kind}`, 'container:first']);
        expect(await docker.sh(options, `${links}; cat /proc/1/comm`)).toBe(
          [user, network, ...others, 'sleep'].join('\n'),
        );
      });
    } finally {
      await docker.place.close();
    }
  });
});
