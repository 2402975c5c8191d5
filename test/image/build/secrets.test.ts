/** Secrets: how they are named, and where their files are. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSecret, readSecret, removeDeadSecrets, SecretFiles } from '../../../runtime/image/build/secrets.js';
import { pidNamespace } from '../../../runtime/kernel/process-identity.js';

describe('a secret', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tare-secrets-'));
    process.env.TARE_STATE = join(folder, 'state');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['id=a,src=f', { id: 'a', source: { file: 'f' } }],
    ['id=a,env=V', { id: 'a', source: { variable: 'V' } }],
    ['id=a,type=env', { id: 'a', source: { variable: 'a' } }],
    ['id=SET', { id: 'SET', source: { variable: 'SET' } }],
    ['id=a', { id: 'a', source: { file: 'a' } }],
    ['type=file,id=a,source=f=g', { id: 'a', source: { file: 'f=g' } }],
  ])('%s', (text, secret) => {
    expect(parseSecret(text, { SET: 'x' })).toEqual(secret);
  });

  it.each(['src=f', 'id=a,src=f,env=V', 'id=a,type=x', 'id', 'id=a,foo=b'])('%s is refused', (text) => {
    expect(() => parseSecret(text, {})).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it('is read when it is needed, and must be there', () => {
    writeFileSync(join(folder, 'f'), 'content');
    expect(readSecret({ id: 'a', source: { file: join(folder, 'f') } }).toString()).toBe('content');
    expect(readSecret({ id: 'a', source: { variable: 'V' } }, { V: 'v' }).toString()).toBe('v');
    expect(() => readSecret({ id: 'a', source: { file: join(folder, 'none') } })).toThrow('the secret a: ');
    expect(() => readSecret({ id: 'a', source: { variable: 'V' } }, {})).toThrow('V is not set');
  });

  it('lies in a folder that only its owner enters, and goes with it', () => {
    const files = new SecretFiles();
    const path = files.add(Buffer.from('x'), { mode: 0o440, uid: 0, gid: 5 });
    expect(readFileSync(path, 'utf8')).toBe('x');
    expect(statSync(path)).toMatchObject({ mode: 0o100440, gid: 5 });
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
    removeDeadSecrets();
    expect(existsSync(path)).toBe(true);
    files[Symbol.dispose]();
    expect(readdirSync(join(folder, 'state'))).toEqual([]);
  });

  it('of a process that is gone is removed by the next', () => {
    mkdirSync(join(folder, 'state', `.secrets-00.${pidNamespace()}.${2 ** 22}`));
    removeDeadSecrets();
    expect(readdirSync(join(folder, 'state'))).toEqual([]);
  });
});
