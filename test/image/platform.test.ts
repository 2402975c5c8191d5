/** Platforms: written, read and chosen. */
import { describe, expect, it } from 'vitest';
import { choosePlatform, formatPlatform, parsePlatform } from '../../runtime/image/platform.js';
import type { Platform } from '../../runtime/oci/image/index.js';

describe('what is written', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/arm/v7', 'linux/arm/v7'],
    ['arm64', 'linux/arm64'],
    ['x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['armhf', 'linux/arm/v7'],
    ['Linux/AMD64', 'linux/amd64'],
    ['windows/amd64', 'windows/amd64'],
  ])('%s is %s', (text, platform) => {
    expect(formatPlatform(parsePlatform(text))).toBe(platform);
  });

  it.each(['', '/', 'linux/', 'a/b/c/d', 'linux/a b', 'linux/../etc'])('%j is refused', (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('what is chosen', () => {
  const chosen = (wanted: string, ...offered: string[]): string | undefined => {
    const list = offered.map((text) => ({ platform: platform(text), text }));
    return choosePlatform(list, parsePlatform(wanted))?.text;
  };
  const platform = (text: string): Platform => {
    const [os, architecture, variant] = text.split('/') as [string, string, string?];
    return { os, architecture, ...(variant && { variant }) };
  };

  it.each<[string, string[], string | undefined]>([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64', ['linux/arm64', 'windows/amd64'], undefined],
    ['linux/arm64', ['linux/arm64/v8'], 'linux/arm64/v8'],
    ['linux/arm64/v8', ['linux/arm64'], 'linux/arm64'],
    ['linux/arm64/v8', ['linux/arm64/v9', 'linux/arm64/v8'], 'linux/arm64/v8'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5'], 'linux/arm/v5'],
    ['linux/arm/v6', ['linux/arm/v7'], undefined],
    ['linux/arm', ['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6'], 'linux/arm/v7'],
    ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'], 'linux/amd64/v2'],
    ['linux/amd64', ['unknown/unknown', 'linux/amd64', 'linux/amd64'], 'linux/amd64'],
    ['linux/mips64le/hardfloat', ['linux/mips64le/softfloat', 'linux/mips64le/hardfloat'], 'linux/mips64le/hardfloat'],
  ])('for %s of %j is %s', (wanted, offered, expected) => {
    expect(chosen(wanted, ...offered)).toBe(expected);
  });

  it('is never what does not say for what it is', () => {
    expect(choosePlatform([{}, {}], parsePlatform('amd64'))).toBeUndefined();
  });
});
