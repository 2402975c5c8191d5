/** The password in an address is shown by no error, no progress and no history. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { download } from '../../../runtime/image/build/copy/download.js';
import { copyCreatedBy } from '../../../runtime/image/build/copy-step.js';
import { parseDockerfile } from '../../../runtime/image/build/parse/index.js';
import { Source } from '../../../runtime/image/build/parse/source.js';
import { withoutUserInfo } from '../../../runtime/image/build/user-info.js';

it.each([
  ['ADD https://user:pass@host/a /b', 'ADD https://***@host/a /b'],
  ['ADD HTTP://pass@host:80/a /b', 'ADD HTTP://***@host:80/a /b'],
  ['https://user:p@ss@host/a@b', 'https://***@host/a@b'],
  ['https:////user:pass@host/', 'https:////***@host/'],
  ['https:/\\user:pass@host\\a', 'https:/\\***@host\\a'],
  ['http://a:b@c/ http://d:e@f/', 'http://***@c/ http://***@f/'],
  ['https://host/a@b user@host name:tag@sha256:0', 'https://host/a@b user@host name:tag@sha256:0'],
])('%s', (text, shown) => {
  expect(withoutUserInfo(text)).toBe(shown);
});

it.each([
  ['before it', 5, 4],
  ['in it', 17, 12],
  ['behind it', 30, 23],
])('an error shows the line without it, and the caret stays: %s', (_name, column, shown) => {
  const source = new Source('Dockerfile', 'ADD https://user:pass@host/a /b\n');
  const { message } = source.error({ line: 1, column }, 'https://user:pass@host/a fails');
  expect(message.split('\n')).toEqual([
    `Dockerfile:1:${column}: https://***@host/a fails`,
    '1 | ADD https://***@host/a /b',
    `  | ${' '.repeat(shown)}^`,
  ]);
});

it('the history and the progress have the instruction without it', () => {
  const { stages } = parseDockerfile('FROM scratch\nADD https://user:pass@host/a /b\n', 'Dockerfile');
  const [add] = stages[0]?.instructions ?? [];
  if (add?.kind !== 'add') throw new Error('no ADD');
  expect(copyCreatedBy(add)).toBe('ADD https://***@host/a /b');
});

describe('a download that fails', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tare-user-info-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each<[string, RequestListener, { checksum?: string; silenceMs?: number }, RegExp]>([
    ['404', (_, response) => response.writeHead(404).end(), {}, /\*\*\*@127\.0\.0\.1:\d+\/ answers 404/],
    [
      'a redirect to elsewhere',
      (_, response) => response.writeHead(302, { location: 'ftp://other:pass@host/' }).end(),
      {},
      /\*\*\*@127.* leads to "ftp:\/\/\*\*\*@host\/"/,
    ],
    [
      'a redirect in a circle',
      (_, response) => response.writeHead(302, { location: '' }).end(),
      {},
      /\*\*\*@.*leads on/,
    ],
    ['a wrong sum', (_, response) => response.end('x'), { checksum: `sha256:${'0'.repeat(64)}` }, /\*\*\*@.*checksum/],
    ['silence', () => undefined, { silenceMs: 50 }, /\*\*\*@.*silent/],
    ['the end of the connection', (request) => request.socket.destroy(), {}, /\*\*\*@.*cannot be downloaded/],
  ])('%s', async (_name, answer, options, message) => {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = `http://user:pass@127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const error = await download(address, join(folder, 'file'), options).catch((reason: Error) => reason);
      expect(String((error as Error).message)).toMatch(message);
      expect(String((error as Error).message)).not.toContain('pass');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('an address that is none', async () => {
    await expect(download('ftp://user:pass@host/', join(folder, 'file'))).rejects.toThrow(
      '"ftp://***@host/" is no address of http or https',
    );
  });
});
