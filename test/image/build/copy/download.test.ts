/** ADD of addresses: what comes, what it is called, and what ends it. */
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { followed } from '../../../../runtime/image/build/copy/download.js';
import { download } from '../../../../runtime/image/build/copy/index.js';
import { withPlace } from './place.js';

describe('downloads', () => {
  const serve = async (answer: RequestListener, run: (address: string, path: string) => Promise<void>) => {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const folder = mkdtempSync(join(tmpdir(), 'tare-download-'));
    try {
      await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, join(folder, 'file'));
    } finally {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true });
    }
  };
  /** A start, and then a byte at a time for as long as anybody listens. */
  const drip = (socket: Socket, start: string) => {
    socket.write(start);
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('error', () => undefined).once('close', () => clearInterval(timer));
  };
  const HELLO = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';

  it('come with name, digest and time', async () => {
    await serve(
      (request, response) => {
        if (request.url === '/from') response.writeHead(302, { location: '/a/b%20c.txt?x' }).end();
        else response.writeHead(200, { 'last-modified': 'Thu, 01 Jan 1970 00:16:40 GMT' }).end('hello');
      },
      async (address, path) => {
        expect(await download(`${address}/from`, path, { checksum: HELLO })).toEqual({
          name: 'from',
          digest: HELLO,
          size: 5,
          mtimeNs: 1_000_000_000_000n,
        });
        expect(readFileSync(path, 'utf8')).toBe('hello');
        await withPlace(async ({ root, items }) => {
          await items([{ kind: 'download', name: 'b c.txt', path, mtimeNs: 5_000_000_000n }], '/n/');
          expect(lstatSync(join(root, 'n/b c.txt'))).toMatchObject({ mode: 0o100600, uid: 0, mtimeMs: 5000 });
        });
      },
    );
  });

  it('are called what the address ends with; where that is nothing, what the destination says', async () => {
    await serve(
      (_, response) => response.end('hello'),
      async (address, path) => {
        expect((await download(`${address}/a/b/`, path)).name).toBe('b');
        rmSync(path);
        const { name } = await download(`${address}/?x=/y`, path);
        expect(name).toBe('');
        await withPlace(async ({ root, items }) => {
          await items([{ kind: 'download', name, path }], '/n/file');
          expect(readFileSync(join(root, 'n/file'), 'utf8')).toBe('hello');
          for (const folder of ['/n', '/new/'])
            await expect(items([{ kind: 'download', name, path }], folder)).rejects.toThrow(
              `the address ends without the name of a file, so "${folder}" cannot be a folder`,
            );
        });
      },
    );
  });

  it.each<[string, RequestListener, object, string]>([
    ['404', (_, response) => response.writeHead(404).end(), {}, 'answers 404'],
    ['500', (_, response) => response.writeHead(500).end(), {}, 'answers 500'],
    ['a circle', (_, response) => response.writeHead(301, { location: '/' }).end(), {}, 'leads on more than 10 times'],
    [
      'another protocol',
      (_, response) => response.writeHead(301, { location: 'file:///etc/passwd' }).end(),
      {},
      'where it must not',
    ],
    ['a wrong checksum', (_, response) => response.end('hellO'), { checksum: HELLO }, 'has the checksum sha256:'],
    ['no checksum at all', (_, response) => response.end('x'), { checksum: 'sha256:1' }, '--checksum is sha256:'],
    ['too much', (_, response) => response.end('x'.repeat(100)), { maxBytes: 99 }, 'more than 99 bytes'],
    [
      'an early end',
      (_, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('x', () => response.destroy());
      },
      {},
      'cannot be downloaded',
    ],
    ['silence', () => undefined, { silenceMs: 50 }, 'silent for 50 ms'],
    [
      'silence in the middle',
      (_, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('x');
      },
      { silenceMs: 50 },
      'silent for 50 ms',
    ],
    [
      'a byte of its header at a time',
      (_, response) => void drip(response.socket as Socket, 'HTTP/1.1 200 OK\r\nX-Drip: '),
      { silenceMs: 100 },
      'nothing worth mentioning came',
    ],
    [
      'a byte of its body at a time',
      (_, response) => void drip(response.socket as Socket, 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n'),
      { silenceMs: 100 },
      'nothing worth mentioning came',
    ],
  ])('%s: nothing is left', async (_name, answer, options, message) => {
    await serve(answer, async (address, path) => {
      await expect(download(`${address}/`, path, options)).rejects.toThrow(message);
      expect(existsSync(path)).toBe(false);
    });
  });

  it.each([
    ['https://example.org/a', 'https://cdn.example/b', true],
    ['http://example.org/a', '/b', true],
    ['http://127.0.0.1:1/a', 'http://localhost:2/b', true],
    ['https://example.org/a', 'http://cdn.example/b', false],
    ['http://example.org/a', 'http://127.0.0.1:8080/b', false],
    ['http://example.org/a', 'http://[::ffff:127.0.0.1]/b', false],
    ['https://example.org/a', 'https://localhost./b', false],
    ['http://example.org/a', 'http://0.0.0.0/b', false],
    ['http://example.org/a', 'http://0x7f000001/b', false],
    ['http://example.org/a', 'gopher://example.org/b', false],
    ['http://example.org/a', 'http://', false],
  ])('%s may lead to %s: %s', (from, to, may) => {
    expect(followed(new URL(from), to) !== undefined).toBe(may);
  });

  it('stop when they are told to', async () => {
    await serve(
      (_, response) => {
        response.write('x');
      },
      async (address, path) => {
        const stop = new AbortController();
        const running = download(address, path, {
          signal: stop.signal,
          onProgress: () => stop.abort(new Error('enough')),
        });
        await expect(running).rejects.toThrow('enough');
        expect(existsSync(path)).toBe(false);
      },
    );
  });
});
