/**
 * The face of exercise/: the chapters of the book, the exercises, and an attempt at one in a machine. What check.ts files use
 * is in probes.ts. See types.ts for what an exercise is.
 */
export { type AttemptOptions, startAttempt } from './attempt.js';
export { type Chapter, type Lesson, listChapters, loadLesson } from './chapters.js';
export { fillVars } from './fill.js';
export { findRegion, readRegion, resolveListings } from './listings.js';
export { listExercises, loadChecks, loadExercise, loadMutants, type Mutant, readExercise } from './load.js';
export { type Proof, proofsOf } from './prove.js';
export { allDone } from './tasks.js';
export type { Attempt, Check, Checks, Exercise, Probe, Task, TaskState, Verdict } from './types.js';
export { typeScript } from './typing.js';
