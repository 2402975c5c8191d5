/**
 * ADD of an address: http and https, redirects followed, into a file of this machine whose content is known by its digest. What is sent is
 * bounded in length and in silence, and checked against --checksum. RFC 9110
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TareError } from '../../../kernel/error.js';
import { mayBeThisMachine } from '../../registry/endpoint.js';
import { withoutUserInfo } from '../user-info.js';

export interface Download {
  /** The last part of the address's path; empty where it has none. */
  readonly name: string;
  /** `sha256:…` of what came. */
  readonly digest: string;
  readonly size: number;
  /** Of Last-Modified. */
  readonly mtimeNs?: bigint;
}

export interface DownloadOptions {
  /** `sha256:…`, or 384 or 512. */
  readonly checksum?: string;
  /** In bytes; 16 GiB unless told. */
  readonly maxBytes?: number;
  /** In which something worth mentioning must come, in milliseconds; a minute unless told. */
  readonly silenceMs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
}

const MAX_REDIRECTS = 10;
/** In milliseconds. */
const SILENCE = 60_000;
/** What must come in that time, in bytes. */
const LEAST = 4096;

/**
 * Writes it to `path`, which must not exist; what is there after a failure is removed.
 * @throws TareError `config` for a wrong address, `not-found` (404, 410), `protocol` when it is not what it should be, `timeout`
 */
export async function download(address: string, path: string, options: DownloadOptions = {}): Promise<Download> {
  const expected = parseChecksum(options.checksum);
  const { response, url } = await request(parseAddress(address), options);
  try {
    const sums = new Map(
      [...new Set(['sha256', expected?.algorithm ?? 'sha256'])].map((name) => [name, createHash(name)]),
    );
    const size = await save(response, url, path, options, (chunk) => {
      for (const sum of sums.values()) sum.update(chunk);
    });
    const digests = new Map([...sums].map(([name, sum]) => [name, sum.digest('hex')]));
    if (expected && digests.get(expected.algorithm) !== expected.hex)
      throw new TareError(
        'protocol',
        `${withoutUserInfo(address)} has the checksum ${expected.algorithm}:${digests.get(expected.algorithm)}, not ${expected.algorithm}:${expected.hex}`,
      );
    const modified = Date.parse(response.headers['last-modified'] ?? '');
    return {
      name: nameOf(url),
      digest: `sha256:${digests.get('sha256')}`,
      size,
      ...(!Number.isNaN(modified) && { mtimeNs: BigInt(modified) * 1_000_000n }),
    };
  } catch (error) {
    response.destroy();
    await rm(path, { force: true });
    throw failure(address, error, options);
  }
}

function parseChecksum(text: string | undefined): { algorithm: string; hex: string } | undefined {
  if (text === undefined) return undefined;
  const [algorithm = '', hex = ''] = text.split(':');
  const length = { sha256: 64, sha384: 96, sha512: 128 }[algorithm];
  if (length === hex.length && /^[0-9a-f]+$/.test(hex)) return { algorithm, hex };
  throw new TareError('config', `--checksum is sha256: and 64 hexadecimal digits, not ${JSON.stringify(text)}`);
}

function parseAddress(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new TareError('config', `${JSON.stringify(withoutUserInfo(address))} is no address of http or https`);
}

async function request(first: URL, options: DownloadOptions): Promise<{ response: IncomingMessage; url: URL }> {
  let url = first;
  for (let count = 0; count <= MAX_REDIRECTS; count += 1) {
    const response = await once(url, options);
    const { statusCode = 0, headers } = response;
    if (statusCode === 200) return { response, url: first };
    response.destroy();
    if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) {
      const code = statusCode === 404 || statusCode === 410 ? 'not-found' : 'protocol';
      throw new TareError(
        code,
        `${withoutUserInfo(url.href)} answers ${statusCode} ${printable(response.statusMessage ?? '')}`.trimEnd(),
      );
    }
    const next = followed(url, headers.location);
    if (!next)
      throw new TareError(
        'protocol',
        `${withoutUserInfo(url.href)} leads to ${JSON.stringify(printable(withoutUserInfo(headers.location)))}, where it must not`,
      );
    url = next;
  }
  throw new TareError('protocol', `${withoutUserInfo(first.href)} leads on more than ${MAX_REDIRECTS} times`);
}

/** Where an answer leads; undefined for where it must not: from TLS to none, or from afar to what listens on this machine alone. */
export function followed(url: URL, location: string): URL | undefined {
  if (!URL.canParse(location, url.href)) return undefined;
  const next = new URL(location, url);
  if (next.protocol !== 'https:' && (next.protocol !== 'http:' || url.protocol === 'https:')) return undefined;
  return mayBeThisMachine(next.hostname) && !mayBeThisMachine(url.hostname) ? undefined : next;
}

function once(url: URL, options: DownloadOptions): Promise<IncomingMessage> {
  const get = url.protocol === 'https:' ? httpsGet : httpGet;
  const { signal, silenceMs = SILENCE } = options;
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const headers = { 'user-agent': 'tare', 'accept-encoding': 'identity' };
    const sent = get(url, { headers, ...(signal && { signal }) }, (response) => {
      answer = response;
      resolve(response);
    });
    // Of the header, a byte now and then is no progress; of the body see save().
    const late = () => sent.destroy(slow(url, 2 * silenceMs));
    const timer = setTimeout(late, 2 * silenceMs);
    sent.once('response', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
    sent.setTimeout(silenceMs, () => {
      (answer ?? sent).destroy(silent(url, silenceMs));
    });
    sent.on('error', (error) => reject(failure(url.href, error, options)));
  });
}

function silent(url: URL, silenceMs: number): TareError {
  return new TareError('timeout', `${withoutUserInfo(url.href)} has been silent for ${silenceMs} ms`);
}

function slow(url: URL, silenceMs: number): TareError {
  return new TareError(
    'timeout',
    `${withoutUserInfo(url.href)} stands still: nothing worth mentioning came in ${silenceMs} ms`,
  );
}

async function save(
  response: IncomingMessage,
  url: URL,
  path: string,
  options: DownloadOptions,
  take: (chunk: Uint8Array) => void,
): Promise<number> {
  const { maxBytes = 16 * 2 ** 30, silenceMs = SILENCE, signal, onProgress } = options;
  const said = Number(response.headers['content-length'] ?? Number.NaN);
  const total = Number.isSafeInteger(said) ? said : undefined;
  let size = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > maxBytes) return done(new TareError('protocol', `it sends more than ${maxBytes} bytes`));
      take(chunk);
      onProgress?.(size, total);
      return done(null, chunk);
    },
  });
  let before = 0;
  const watch = setInterval(() => {
    if (size - before < LEAST) count.destroy(slow(url, silenceMs));
    before = size;
  }, silenceMs);
  try {
    await pipeline(
      response,
      count,
      createWriteStream(path, { flags: 'wx', mode: 0o600 }),
      ...(signal ? [{ signal }] : []),
    );
  } finally {
    clearInterval(watch);
  }
  return size;
}

function failure(address: string, error: unknown, { signal }: DownloadOptions): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof TareError) return error;
  const why = withoutUserInfo((error as Error).message);
  return new TareError('protocol', `${withoutUserInfo(address)} cannot be downloaded: ${why}`, { cause: error });
}

function nameOf(url: URL): string {
  const last = url.pathname.replace(/\/+$/, '').split('/').at(-1) ?? '';
  let name = last;
  try {
    name = decodeURIComponent(last);
  } catch {
    // No UTF-8: the name is as it is written in the address.
  }
  return name === '.' || name === '..' || name.includes('/') || name.includes('\0') ? '' : name;
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
