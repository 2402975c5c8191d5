/**
 * What a case of the suite is: a name, the section of the specification or the behaviour of runc that it stands on, and what
 * it does with a runtime. Cases are plain data, so that vitest runs them here and main.ts runs them where there is no vitest.
 */
import type { Bench } from './bench.js';
import type { TestConfig } from './config.js';
import type { Container, ContainerOptions } from './container.js';

/** What a case has in its hands. Containers and whatever `later` is given are removed when it ends, however it ends. */
export interface Scene {
  readonly bench: Bench;
  container(edit?: (config: TestConfig) => void, options?: ContainerOptions): Container;
  /** Runs `script` with the container's sh to its end, and gives what it wrote. Fails unless it ended with 0. */
  sh(script: string, edit?: (config: TestConfig) => void): Promise<string>;
  /** An empty folder of its own, that everybody may read. */
  folder(): string;
  later(undo: () => unknown): void;
  /** Leaves the case out, for the reason given. */
  skip(reason: string): never;
}

export interface Case {
  readonly name: string;
  readonly stands: string;
  readonly act: (scene: Scene) => Promise<void>;
}

export interface Suite {
  readonly name: string;
  readonly cases: readonly Case[];
}

export type It = (name: string, stands: string, act: (scene: Scene) => Promise<void>) => void;

export function suite(name: string, define: (it: It) => void): Suite {
  const cases: Case[] = [];
  define((name, stands, act) => cases.push({ name, stands, act }));
  return { name, cases };
}

/** A case that cannot be tried here, and why. */
export class Skipped extends Error {}
