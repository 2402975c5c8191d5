/** Attack 30: who may talk to the lab. Every refusal is compared with the same request made rightly. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createLab } from '../../web-lab/server/app.js';
import { library } from '../web-lab/fake-library.js';
import { FakeProvider } from '../web-lab/fake-machine.js';
import { ask, openLab, Page, SESSION, type TestLab } from '../web-lab/visitor.js';

let test: TestLab;
let host: string;
let origin: string;

beforeAll(async () => {
  test = await openLab();
  host = `127.0.0.1:${test.port}`;
  origin = `http://${host}`;
});
afterAll(() => test[Symbol.asyncDispose]());

describe('the token', () => {
  it('is exchanged for a cookie that scripts and other sites cannot use, on a clean address', async () => {
    const answer = await ask(test.port, `/?token=${test.lab.token}`);
    expect(answer.status).toBe(303);
    expect(answer.headers.location).toBe('/');
    const cookie = String(answer.headers['set-cookie']);
    expect(cookie).toContain('HttpOnly');
    expect(cookie).toContain('SameSite=Strict');
    expect(cookie).not.toContain(test.lab.token);
  });

  it.each(['/chapter/01-names', '//evil.example/', '/\\evil.example', '/api/chapters'])(
    'never sends the visitor of %s elsewhere',
    async (path) => {
      const { status, headers } = await ask(test.port, `${path}?token=${test.lab.token}`);
      expect([status, headers.location]).toEqual([303, path === '/chapter/01-names' ? path : '/']);
    },
  );

  it.each(['', 'x', 'x'.repeat(43), 'x'.repeat(5000)])('is refused when wrong', async (token) => {
    const { status, headers } = await ask(test.port, `/?token=${token}`);
    expect(status).toBe(401);
    expect(headers['set-cookie']).toBeUndefined();
  });

  it.each(['/', '/api/chapters', '/api/chapters/01-names', '/assets/x.js', '/nowhere'])('%s wants it', async (path) => {
    expect((await ask(test.port, path)).status).toBe(401);
    expect((await ask(test.port, path, { cookie: `tare-lab-${test.port}=wrong` })).status).toBe(401);
    expect((await ask(test.port, path, { cookie: test.cookie })).status).not.toBe(401);
  });

  it('is 32 random bytes unless told', async () => {
    expect(Buffer.from(test.lab.token, 'base64url')).toHaveLength(32);
  });
});

describe('Host (DNS rebinding)', () => {
  it.each(['evil.example', 'evil.example:PORT', '127.0.0.1', '127.0.0.1:1', 'localhost.evil.example:PORT'])(
    '%s is refused',
    async (name) => {
      const headers = { cookie: test.cookie, host: name.replace('PORT', String(test.port)) };
      expect((await ask(test.port, '/api/chapters', headers)).status).toBe(403);
    },
  );

  it.each(['127.0.0.1', 'localhost', 'LOCALHOST', '[::1]'])('%s is served', async (name) => {
    const headers = { cookie: test.cookie, host: `${name}:${test.port}` };
    expect((await ask(test.port, '/api/chapters', headers)).status).toBe(200);
  });
});

describe('Origin', () => {
  const foreign = ['http://evil.example', 'null', 'http://127.0.0.1:1', 'https://127.0.0.1:PORT', 'http://127.0.0.1'];

  it.each(['(none)', ...foreign])('%s may not change anything', async (name) => {
    const headers: Record<string, string> = { cookie: test.cookie };
    if (name !== '(none)') headers.origin = name.replace('PORT', String(test.port));
    expect((await ask(test.port, '/api/progress', headers, 'DELETE')).status).toBe(403);
  });

  it('of the lab’s own page may', async () => {
    expect((await ask(test.port, '/api/progress', { cookie: test.cookie, origin }, 'DELETE')).status).toBe(200);
  });

  it.each(['(none)', ...foreign])('%s may not open a WebSocket', async (name) => {
    const foreign = name === '(none)' ? undefined : name.replace('PORT', String(test.port));
    expect(await upgrade({ cookie: test.cookie }, foreign)).toBe(403);
  });
});

describe('a WebSocket', () => {
  it('without a token is refused', async () => {
    expect(await upgrade({}, origin)).toBe(401);
    expect(await upgrade({ cookie: `tare-lab-${test.port}=wrong` }, origin)).toBe(401);
  });

  it('under another host name is refused', async () => {
    const rebound = { cookie: test.cookie, host: `evil.example:${test.port}` };
    expect(await upgrade(rebound, `http://evil.example:${test.port}`)).toBe(403);
  });

  it.each(['/', '/api/session', '/api/session?id=short', `/api/session?id=${SESSION}&x=1`, '/api/other'])(
    'at %s is refused',
    async (path) => {
      expect(await upgrade({ cookie: test.cookie }, origin, path)).toBe(400);
    },
  );

  it('with all of it is taken', async () => {
    const page = await Page.open(test);
    await page.leave();
  });

  it('beyond the number of sessions is refused', async () => {
    await using small = await openLab({ maxSessions: 1 });
    const first = await Page.open(small);
    const headers = { cookie: small.cookie };
    const other = `/api/session?id=${'f'.repeat(32)}`;
    expect(await upgrade(headers, small.lab.origin, other, small.port)).toBe(503);
    await first.leave();
  });
});

describe('answers', () => {
  it('allow scripts from the server only, no frames, no sniffing', async () => {
    const { headers } = await ask(test.port, '/api/chapters', { cookie: test.cookie });
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/style-src [^;]*unsafe-inline/);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['x-powered-by']).toBeUndefined();
  });

  it.each(['/%', '/api/chapters/%E0%A4%A', '/api/chapters/..%2f..%2fetc', '/assets/../../package.json', '/assets/%00'])(
    'to %s are refusals, never files',
    async (path) => {
      const { status, body } = await ask(test.port, path, { cookie: test.cookie });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(body).not.toContain('devDependencies');
    },
  );
});

it('says which port is in use', async () => {
  const occupant = createServer();
  await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve));
  const { port } = occupant.address() as { port: number };
  try {
    const progressFile = `${test.folder}/other.json`;
    await expect(createLab({ provider: new FakeProvider(), library, progressFile, port })).rejects.toThrow(
      `Port ${port}`,
    );
  } finally {
    occupant.close();
  }
});

/** The status with which an upgrade is refused; 101 when it is not. */
function upgrade(headers: Record<string, string>, origin?: string, path?: string, port = test.port): Promise<number> {
  const url = `ws://127.0.0.1:${port}${path ?? `/api/session?id=${SESSION}`}`;
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { headers: origin === undefined ? headers : { ...headers, origin } });
    socket.on('unexpected-response', (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    socket.on('open', () => {
      resolve(101);
      socket.close();
    });
    socket.on('error', () => resolve(0));
  });
}
