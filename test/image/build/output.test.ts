/** `--output`: the files in a folder or an archive, the image as an archive. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseOutput, writeOutput } from '../../../runtime/image/build/index.js';
import { makeBuilder } from '../../harness/builder.js';

it.each([
  ['out', { type: 'local', dest: join(process.cwd(), 'out') }],
  ['-', { type: 'tar', dest: '-' }],
  ['type=local,dest=/out', { type: 'local', dest: '/out' }],
  ['type=docker', { type: 'docker', dest: '-' }],
])('--output %s', (text, output) => {
  expect(parseOutput(text)).toEqual(output);
});

it.each(['type=local', 'type=registry', 'type=tar,dest=x,compression=gzip', 'dest=x'])(
  '--output %s is refused',
  (text) => {
    expect(() => parseOutput(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);

it('writes what has been built', async () => {
  await using builder = await makeBuilder();
  const built = await builder.build(
    'FROM busybox AS a\nRUN mkdir -m 700 /out && echo x > /out/file && chown 7:8 /out/file\nFROM scratch\nCOPY --from=a /out /\n',
  );
  const at = (name: string) => join(builder.folder, name);
  await writeOutput(builder.store, built, { type: 'local', dest: at('out') });
  expect(readFileSync(at('out/file'), 'utf8')).toBe('x\n');
  expect(statSync(at('out/file'))).toMatchObject({ uid: 7, gid: 8 });
  await writeOutput(builder.store, built, { type: 'tar', dest: at('out.tar') });
  expect(execFileSync('tar', ['-xOf', at('out.tar'), 'file'], { encoding: 'utf8' })).toBe('x\n');
  for (const type of ['oci', 'docker'] as const) {
    await writeOutput(builder.store, built, { type, dest: at(`${type}.tar`) });
    const names = execFileSync('tar', ['-tf', at(`${type}.tar`)], { encoding: 'utf8' });
    expect(names).toContain(type === 'oci' ? 'oci-layout' : 'manifest.json');
  }
  mkdirSync(at('full'));
  writeFileSync(at('full/file'), '');
  await expect(writeOutput(builder.store, built, { type: 'local', dest: at('full') })).rejects.toThrow('not empty');
  const stopped = writeOutput(builder.store, built, { type: 'tar', dest: at('none.tar') }, AbortSignal.abort());
  await expect(stopped).rejects.toThrow();
  expect(existsSync(at('none.tar'))).toBe(false);
  for (const type of ['tar', 'oci'] as const) {
    const folder = writeOutput(builder.store, built, { type, dest: at('full') });
    await expect(folder).rejects.toThrow(/full is a folder: the archive needs a name in it/);
    const nowhere = writeOutput(builder.store, built, { type, dest: at('nosuch/out.tar') });
    await expect(nowhere).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/out\.tar cannot be made: its folder/),
    });
  }
});
