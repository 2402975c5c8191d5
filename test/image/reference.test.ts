/** Names of images: what Docker's own grammar takes, as it takes it, and what it refuses. */
import { describe, expect, it } from 'vitest';
import { familiarName, fullName, parseReference } from '../../runtime/image/reference.js';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('a name', () => {
  it.each([
    ['debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['debian:12', 'docker.io/library/debian:12', 'debian:12'],
    ['tare/lab', 'docker.io/tare/lab:latest', 'tare/lab:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['index.docker.io/a/b:1', 'docker.io/a/b:1', 'a/b:1'],
    ['localhost/a', 'localhost/a:latest', 'localhost/a:latest'],
    ['localhost:5000/a/b:tag', 'localhost:5000/a/b:tag', 'localhost:5000/a/b:tag'],
    ['[::1]:5000/a', '[::1]:5000/a:latest', '[::1]:5000/a:latest'],
    ['ghcr.io/a__b/c-d.e:V1_2', 'ghcr.io/a__b/c-d.e:V1_2', 'ghcr.io/a__b/c-d.e:V1_2'],
    [`a@${DIGEST}`, `docker.io/library/a@${DIGEST}`, `a@${DIGEST}`],
    [`localhost:5000/a:b@${DIGEST}`, `localhost:5000/a:b@${DIGEST}`, `localhost:5000/a:b@${DIGEST}`],
  ])('%s', (text, full, familiar) => {
    const reference = parseReference(text);
    expect(fullName(reference)).toBe(full);
    expect(familiarName(reference)).toBe(familiar);
    expect(parseReference(full)).toEqual(reference);
    expect(parseReference(familiar)).toEqual(reference);
  });

  it.each([
    ['', 'no repository name'],
    ['Debian', 'must be lower case'],
    ['a/B', 'must be lower case'],
    ['a:', 'no tag'],
    [`a:${'x'.repeat(129)}`, 'no tag'],
    ['a//b', 'no repository name'],
    ['a/../b', 'no repository name'],
    ['a@sha256:12', 'no digest'],
    [`a@${DIGEST}@${DIGEST}`, 'more than one @'],
    [`a@${DIGEST.toUpperCase()}`, 'no digest'],
    ['-.com/a', 'no registry'],
    ['127.0.0.1:99999/a', 'no registry'],
    ['127.0.0.256/a', 'no registry'],
    ['[::1::]:5000/a', 'no registry'],
    ['https://ghcr.io/a', 'written without "https://"'],
    ['docker://debian', 'written without "docker://"'],
    [`x.com/${'a'.repeat(250)}`, 'longer than 255'],
    ['a b', 'no repository name'],
    ['a\n', 'no repository name'],
  ])('%j is refused', (text, why) => {
    expect(() => parseReference(text)).toThrow(why);
  });
});
