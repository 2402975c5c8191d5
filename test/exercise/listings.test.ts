/** Listings: regions of real files, and an error for each that is not there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findRegion, resolveListings } from '../../runtime/exercise/index.js';

const SOURCE = `first
  // #region outer
  one
    two
  // #region inner
  three
  // #endregion
  // #endregion
last
/* #region block */
four
/* #endregion */
// #region empty
// #endregion
// #region open
five
`;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'tare-listings-'));
  writeFileSync(join(root, 'a.ts'), SOURCE);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('a region', () => {
  it.each([
    ['outer', 'one\n  two\nthree', 3, 7],
    ['inner', 'three', 6, 6],
    ['block', 'four', 11, 11],
  ])('%s is found, without its indentation and without markers', (name, code, first, last) => {
    expect(findRegion(SOURCE, name)).toEqual({ code, first, last });
  });

  it.each(['empty', 'open', 'missing', 'out'])('%s is no region', (name) => {
    expect(findRegion(SOURCE, name)).toBeUndefined();
  });
});

describe('a listing', () => {
  const block = (info: string, body = '') => `before\n\n\`\`\`${info}\n${body}\`\`\`\n\nafter`;

  it('gets the code and says where it stands', async () => {
    const markdown = await resolveListings(block('ts file=a.ts region=inner'), root, 'lesson.md');
    expect(markdown).toBe(block('ts file=a.ts region=inner lines=6-6', 'three\n'));
  });

  it('leaves other blocks alone, and a dollar sign as it is', async () => {
    writeFileSync(join(root, 'b.sh'), "# #region x\necho $& $1 $'\n# #endregion\n");
    const text = `${block('sh run', 'echo $&\n')}\n\n${block('sh file=b.sh region=x')}`;
    const markdown = await resolveListings(text, root, 'lesson.md');
    expect(markdown).toContain(block('sh run', 'echo $&\n'));
    expect(markdown).toContain("lines=2-2\necho $& $1 $'\n");
  });

  it.each([
    ['a region that is missing', block('ts file=a.ts region=gone'), 'lesson.md: a.ts has no region "gone"'],
    ['a file that is missing', block('ts file=z.ts region=x'), 'lesson.md: there is no z.ts'],
    ['a file outside', block('ts file=../a.ts region=x'), 'is outside the project'],
    ['an absolute path', block('ts file=/etc/passwd region=x'), 'is outside the project'],
    ['a block with a body', block('ts file=a.ts region=inner', 'three\n'), 'a listing must be an empty block'],
  ])('with %s is refused', async (_, markdown, sentence) => {
    await expect(resolveListings(markdown, root, 'lesson.md')).rejects.toThrow(sentence);
  });
});
