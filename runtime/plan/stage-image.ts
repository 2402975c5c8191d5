/**
 * Our native programs as a container may see them: copies in sealed memory files, made once a process. A container that
 * opens /proc/self/exe of stage, or of the init that it was given, finds a file that nobody can write any more
 * (CVE-2019-5736), and the program on disk is never the one that runs.
 */
import { readFileSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { nativeFile } from '../kernel/places.js';

const images = new Map<string, number>();

/** The descriptor of a sealed copy of stage. It stays open as long as this process; do not close it. */
export function stageImage(): number {
  return image('stage');
}

/** The same for the in-container init. */
export function initImage(): number {
  return image('init');
}

function image(name: 'stage' | 'init'): number {
  let fd = images.get(name);
  if (fd === undefined) {
    fd = native.sealedMemfd(`tare-${name}`, readFileSync(nativeFile(name)));
    images.set(name, fd);
  }
  return fd;
}
