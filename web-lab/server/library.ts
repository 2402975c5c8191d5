/**
 * What the lab teaches, as the server needs it: chapters with their lessons, and exercises that can be begun in a machine.
 * The one implementation that ships reads chapters/ and exercises/ (shelf.ts); tests bring their own.
 */
import type { Attempt, Exercise } from '../../runtime/exercise/types.js';
import type { Machine } from '../../runtime/vm/machine.js';

export interface Library {
  /** In the order of their numbers. */
  chapters(): Promise<readonly Chapter[]>;
  /** Fills a text of the exercise with an attempt's values. */
  fill(text: string, vars: Readonly<Record<string, string>>): string;
  /** Puts the exercise's starting state into a fresh machine. */
  begin(exercise: Exercise, machine: Machine): Promise<Attempt>;
}

export interface Chapter {
  readonly id: string; // the folder's name: `03-namespaces`
  readonly number: number;
  readonly title: string;
  readonly summary: string;
  readonly minutes: number;
  readonly status: 'written' | 'planned';
  readonly systems: readonly string[];
  /** The lesson, its listings filled in; empty for a planned chapter. */
  readonly markdown: string;
  readonly exercises: readonly Exercise[];
}
