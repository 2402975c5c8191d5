import { describe, expect, test } from 'vitest';
import { parseStat, parseStatus } from '../../runtime/inspect/index.js';
import { STATUS, stat } from './fake-proc.js';

describe('/proc/PID/status', () => {
  test('all fields', () => {
    expect(parseStatus(STATUS)).toEqual({
      name: 'sleep',
      state: 'S',
      tgid: 42,
      pid: 42,
      parent: 7,
      tracer: 0,
      uids: { real: 1000, effective: 1001, saved: 1002, filesystem: 1003 },
      gids: { real: 100, effective: 100, saved: 100, filesystem: 100 },
      groups: [4, 24, 100],
      nsPids: [42, 1],
      threads: 3,
      capabilities: { inheritable: 0n, permitted: 0n, effective: 0x200001n, bounding: 0x1ffffffffffn, ambient: 0n },
      noNewPrivs: true,
      seccomp: 'filter',
      seccompFilters: 2,
    });
  });

  test('an older kernel: no namespaces, ambient set, no_new_privs, or count of filters', () => {
    const old = STATUS.replace(/^(NS\w+|CapAmb|NoNewPrivs|Seccomp_filters):.*\n/gm, '');
    expect(parseStatus(old)).toMatchObject({ nsPids: [42], noNewPrivs: false, seccomp: 'filter', seccompFilters: 1 });
    expect(parseStatus(old.replace(/^Seccomp:.*\n/m, ''))).toMatchObject({ seccomp: 'none', seccompFilters: 0 });
  });

  test('a field that comes twice counts once, the first time', () => {
    expect(parseStatus(`${STATUS}CapEff:\tffffffffffffffff\n`).capabilities.effective).toBe(0x200001n);
  });

  test.each([
    ['', 'Name'],
    [STATUS.replace('Pid:\t42', 'Pid:\tforty-two'), 'Pid'],
    [STATUS.replace('Threads:\t3', 'Threads:\t99999999999999999999'), 'Threads'],
    [STATUS.replace('Uid:\t1000\t1001\t1002\t1003', 'Uid:\t1000'), 'Uid'],
    [STATUS.replace(/CapEff:.*/, 'CapEff:\t-1'), 'capability'],
  ])('text that no kernel writes is refused (%#)', (text, field) => {
    expect(() => parseStatus(text)).toThrow(
      expect.objectContaining({ code: 'protocol', message: expect.stringContaining(field) }),
    );
  });
});

describe('/proc/PID/stat', () => {
  test.each(['sleep', 'a b', 'x) S 1 1 1 (y', '))) ', ') ', '(', 'new\nline'])(
    'a name of its own choice: %j',
    (comm) => {
      expect(parseStat(stat(comm))).toEqual({
        pid: 42,
        comm,
        state: 'S',
        parent: 7,
        processGroup: 42,
        session: 42,
        terminal: 34816,
        startTime: 5000,
      });
    },
  );

  test.each(['', '42', '42 (sleep', '42 (sleep) S 1', stat('x', 'soon')])(
    'text that no kernel writes is refused: %j',
    (text) => {
      expect(() => parseStat(text)).toThrow(expect.objectContaining({ code: 'protocol' }));
    },
  );
});
