import { fstatSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH, O_RDONLY } from '../../runtime/kernel/constants/open.js';
import { closeAll, OwnedFd } from '../../runtime/kernel/fd.js';
import { listenStream } from '../harness/stream-listener.js';
import { failureOf, openFds, withFolder, withoutLeak } from './support.js';

/** A pair of sockets, closed afterwards; fails when a descriptor is left. */
function withPair(act: (a: number, b: number) => void): void {
  withoutLeak(() => {
    const pair = native.socketpair();
    try {
      act(...pair);
    } finally {
      closeAll(pair);
    }
  });
}

describe('messages', () => {
  it('keep their bounds, and their order', () => {
    withPair((a, b) => {
      native.sendmsg(a, Buffer.from('one'));
      native.sendmsg(a, Buffer.from('two'));
      expect(native.recvmsg(b, 100, 0)?.data.toString()).toBe('one');
      expect(native.recvmsg(b, 100, 0)?.data.toString()).toBe('two');
      expect(native.recvmsg(b, 100, 0)).toBeNull();
    });
  });

  it('end with a message of no bytes', () => {
    withPair((a, b) => {
      const copy = native.dup(a);
      native.sendmsg(copy, Buffer.from('last'));
      native.close(copy);
      expect(native.recvmsg(b, 100, 0)?.data.toString()).toBe('last');
    });
    const [a, b] = native.socketpair();
    native.close(a);
    expect(native.recvmsg(b, 100, 1)).toEqual({ data: Buffer.alloc(0), fds: [] });
    expect(failureOf(() => native.sendmsg(b, Buffer.from('x'))).message).toMatch(
      /: EPIPE \(the other side has gone\)$/,
    );
    native.close(b);
  });

  it('carry descriptors, many at once, which arrive as the same files and close-on-exec', () => {
    withPair((a, b) => {
      const sent = ['/', '/proc', '/proc/self/status'].map((path) => native.open(path, O_RDONLY));
      native.sendmsg(a, Buffer.from('x'), sent);
      const message = native.recvmsg(b, 10, 3);
      expect(message?.fds).toHaveLength(3);
      message?.fds.forEach((fd, i) => {
        expect(fstatSync(fd).ino).toBe(fstatSync(sent[i] ?? -1).ino);
        expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')).toMatch(/^flags:\s+0?2\d{6}$/m);
      });
      closeAll([...sent, ...(message?.fds ?? [])]);

      const many = Array.from({ length: 253 }, () => native.dup(a));
      native.sendmsg(a, Buffer.from('y'), many);
      const received = native.recvmsg(b, 10, 253);
      expect(received?.fds).toHaveLength(253);
      expect(failureOf(() => native.sendmsg(a, Buffer.from('z'), [...many, a])).syscall?.errno).toBe('EINVAL');
      closeAll([...many, ...(received?.fds ?? [])]);
    });
  });

  it('are refused when they are larger than agreed, and leave no descriptor behind', () => {
    const refused = /^recvmsg\(\d+, \{3 bytes, \d descriptors\}, MSG_CMSG_CLOEXEC\|MSG_DONTWAIT\): EMSGSIZE/;
    withPair((a, b) => {
      native.sendmsg(a, Buffer.from('long'));
      expect(failureOf(() => native.recvmsg(b, 3, 0)).message).toMatch(refused);
      native.sendmsg(a, Buffer.from('fds'), [a, b]);
      expect(failureOf(() => native.recvmsg(b, 3, 1)).message).toMatch(refused);
      native.sendmsg(a, Buffer.from('fds'), [a]);
      expect(failureOf(() => native.recvmsg(b, 3, 0)).message).toMatch(refused);
      native.sendmsg(a, Buffer.from('long'), [a]);
      expect(failureOf(() => native.recvmsg(b, 3, 1)).message).toMatch(refused);
      expect(native.recvmsg(b, 3, 1)).toBeNull();
    });
  });

  it('that nobody reads fill the socket: EAGAIN, and Node goes on', () => {
    withPair((a) => {
      const error = failureOf(() => {
        for (;;) native.sendmsg(a, Buffer.alloc(10_000));
      });
      expect(error.message).toMatch(/: EAGAIN \(the other side does not read\)$/);
    });
  });

  it('cannot be asked for without bounds', () => {
    withPair((_, b) => {
      expect(() => native.recvmsg(b, 2 ** 31, 0)).toThrow(RangeError);
      expect(() => native.recvmsg(b, 1, 254)).toThrow(RangeError);
    });
  });
});

describe('named sockets', () => {
  it('are reached through a directory whose path is longer than an address can be', () =>
    withFolder((folder) => {
      let deep = folder;
      while (deep.length < 300) deep = join(deep, 'a-rather-long-name');
      mkdirSync(deep, { recursive: true });
      const before = openFds();
      const directory = new OwnedFd(native.open(deep, O_PATH | O_DIRECTORY));
      const listener = native.listenAt(directory.fd, 'socket');
      expect(statSync(join(deep, 'socket')).mode & 0o777).toBe(0o600);
      const client = native.connectAt(directory.fd, 'socket');
      native.sendmsg(client, Buffer.from('waits to be accepted'));

      const again = failureOf(() => native.listenAt(directory.fd, 'socket'));
      expect(again.message).toMatch(/^bind\(\d+, "\/proc\/self\/fd\/\d+\/socket"\): EADDRINUSE$/);
      native.close(listener);
      const gone = failureOf(() => native.connectAt(directory.fd, 'socket'));
      expect(gone.message).toMatch(/: ECONNREFUSED \(nobody listens on the socket any more\)$/);
      closeAll([client, directory.release()]);
      expect(openFds()).toBe(before);
    }));

  it.each([
    ['../socket', 'EINVAL'],
    ['', 'EINVAL'],
    ['x'.repeat(120), 'ENAMETOOLONG'],
  ])('have no name such as %j', (name, errno) =>
    withFolder((folder) => {
      const directory = new OwnedFd(native.open(folder, O_PATH | O_DIRECTORY));
      try {
        withoutLeak(() => {
          expect(failureOf(() => native.listenAt(directory.fd, name)).syscall?.errno).toBe(errno);
          expect(failureOf(() => native.connectAt(directory.fd, name)).syscall?.errno).toBe(errno);
        });
      } finally {
        directory.close();
      }
    }),
  );
});

describe('stream sockets of somebody else', () => {
  it('get a message with a descriptor, wherever they are', () =>
    withFolder(async (folder) => {
      let deep = folder;
      while (deep.length < 300) deep = join(deep, 'a-rather-long-name');
      mkdirSync(deep, { recursive: true });
      const listener = await listenStream(join(folder, 'socket'));
      const before = openFds();
      for (const path of [join(folder, 'socket'), join(deep, 'socket')]) {
        if (path.startsWith(deep)) renameSync(join(folder, 'socket'), path);
        const client = native.connectStream(path);
        const sent = native.open('/proc/self/status', O_RDONLY);
        native.sendmsg(client, Buffer.from('here it is'), [sent]);
        const { data, fds } = await listener.next();
        expect(data.toString()).toBe('here it is');
        expect(fds.map((fd) => fstatSync(fd).ino)).toEqual([fstatSync(sent).ino]);
        closeAll([client, sent, ...fds]);
      }
      expect(openFds()).toBe(before);
      await listener.close();
    }));

  it.each([
    ['/nowhere/socket', 'connect("/nowhere/socket"): ENOENT (there is no such socket)'],
    ['', 'connect(""): ENOENT (there is no such socket)'],
    ['x'.repeat(200), `connect("${'x'.repeat(200)}"): ENAMETOOLONG`],
    [`/${'x'.repeat(200)}`, /^connect\("\/x+"\): ENAMETOOLONG$/],
    [`/${'x'.repeat(200)}/y`, /^open\("\/x+\/", O_PATH\|O_DIRECTORY\|O_CLOEXEC\): ENOENT/],
  ])('%.20s is none', (path, message) => {
    withoutLeak(() => expect(failureOf(() => native.connectStream(path)).message).toMatch(message));
  });

  it('keep no bounds of messages: what is no stream is refused', () =>
    withFolder((folder) => {
      const directory = native.open(folder, O_PATH | O_DIRECTORY);
      const listener = native.listenAt(directory, 'socket');
      expect(failureOf(() => native.connectStream(join(folder, 'socket'))).syscall?.errno).toBe('EPROTOTYPE');
      closeAll([directory, listener]);
    }));
});

describe('datagram sockets', () => {
  it('get what others send to their name, with descriptors, and are as open as they are told to be', () =>
    withFolder((folder) => {
      const before = openFds();
      const directory = native.open(folder, O_PATH | O_DIRECTORY);
      const bound = native.bindDatagramAt(directory, 'socket', 0o777);
      expect(statSync(join(folder, 'socket')).mode & 0o777).toBe(0o777);
      const client = native.connectDatagram(join(folder, 'socket'));
      native.sendmsg(client, Buffer.from('one'));
      native.sendmsg(client, Buffer.from('two'), [directory]);
      expect(native.recvmsg(bound, 100, 0)?.data.toString()).toBe('one');
      const { data, fds } = native.recvmsg(bound, 100, 1) ?? { data: Buffer.of(), fds: [] };
      expect([data.toString(), fds.length]).toEqual(['two', 1]);
      expect(native.recvmsg(bound, 100, 1)).toBeNull();
      expect(failureOf(() => native.bindDatagramAt(directory, 'socket', 0o600)).syscall?.errno).toBe('EADDRINUSE');
      expect(failureOf(() => native.connectStream(join(folder, 'socket'))).syscall?.errno).toBe('EPROTOTYPE');
      closeAll([directory, bound, client, ...fds]);
      expect(openFds()).toBe(before);
    }));

  it('have an abstract name where it begins with @', () => {
    withoutLeak(() => {
      const failure = failureOf(() => native.connectDatagram(`@tare-test-nobody-${process.pid}`));
      expect(failure.syscall?.errno).toBe('ECONNREFUSED'); // a file that is not there would be ENOENT
    });
  });
});
