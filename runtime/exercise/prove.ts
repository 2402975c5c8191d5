/**
 * An exercise proves itself, in real machines: the start is not solved, the solution is accepted, each plausible wrong answer
 * is refused by the check that its first line names, a reset gives the same state, and a machine that lacks something blocks it. Run
 * by the tests, and by `tare exercise prove`.
 */
import { TareError } from '../kernel/error.js';
import type { Machine, MachineProvider } from '../vm/machine.js';
import { startAttempt } from './attempt.js';
import { drawVars, fillVars, type Vars } from './fill.js';
import { loadMutants, type Mutant } from './load.js';
import { describeState } from './state.js';
import { allDone } from './tasks.js';
import type { Attempt, Exercise, TaskState } from './types.js';
import { typeScript } from './typing.js';

/** How long the state may take to become what is expected once everything has been typed, in milliseconds. */
const SETTLE_MS = 15_000;
const LOOK_MS = 100;

export interface Proof {
  /** For people: `mutant no-fork is refused by pid-one: not-forked`. */
  readonly name: string;
  /** Rejects with a sentence when it does not hold. Uses machines of its own, and ends them. */
  run(provider: MachineProvider): Promise<void>;
}

/** All that must hold of an exercise. @throws TareError `config` */
export async function proofsOf(exercise: Exercise): Promise<Proof[]> {
  const mutants = await loadMutants(exercise);
  return [
    {
      name: 'the start is not solved, and a reset gives the same state',
      run: (provider) => startAndReset(exercise, provider),
    },
    { name: 'the solution is accepted, and nothing of it lives on', run: (provider) => solution(exercise, provider) },
    { name: 'a machine that lacks a feature blocks it', run: (provider) => lacking(exercise, provider) },
    ...mutants.map((mutant) => ({
      name: `mutant ${mutant.name} is refused by ${mutant.task}: ${mutant.fault}`,
      run: (provider: MachineProvider) => refused(exercise, mutant, provider),
    })),
  ];
}

async function startAndReset(exercise: Exercise, provider: MachineProvider): Promise<void> {
  const vars = drawVars(exercise.vars);
  const states: string[] = [];
  for (const _ of [1, 2]) {
    await begin(exercise, provider, vars, async (attempt, machine) => {
      const done = (await attempt.check()).filter((task) => task.state !== 'open' && task.state !== 'waiting');
      expect(done.length === 0, `at the start, ${done.map((task) => `${task.id} is ${task.state}`).join(', ')}`);
      states.push((await describeState(machine)).join('\n'));
    });
  }
  expect(states[0] === states[1], `a reset gave another state:\n${states[0]}\n-- and then --\n${states[1]}`);
}

async function solution(exercise: Exercise, provider: MachineProvider): Promise<void> {
  await begin(exercise, provider, drawVars(exercise.vars), async (attempt, machine) => {
    const before = await whoRuns(machine);
    await attempt.solve();
    const states = await settle(attempt, allDone);
    expect(allDone(states), `the solution was not accepted: ${describe(states)}`);
    // Its terminal is hung up: what the solution has started, and the namespaces that it has made, must go.
    attempt.close();
    const deadline = Date.now() + SETTLE_MS;
    let after = await whoRuns(machine);
    while (after !== before && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      after = await whoRuns(machine);
    }
    expect(after === before, `the solution leaves something running:\n${before}\n-- and then --\n${after}`);
  });
}

/** The processes and the namespaces that they are in; what is mounted there is the exercise's own matter. */
async function whoRuns(machine: Machine): Promise<string> {
  const lines = (await describeState(machine)).filter((line) => line.startsWith('process '));
  return lines.map((line) => line.replace(/ with \d+ mounts/, '')).join('\n');
}

async function lacking(exercise: Exercise, provider: MachineProvider): Promise<void> {
  const impossible = { ...exercise, env: { ...exercise.env, kernelMin: '99.0' } };
  await begin(impossible, provider, drawVars(exercise.vars), async (attempt) => {
    const states = await attempt.check();
    expect(
      states.every((task) => task.state === 'blocked'),
      `not blocked: ${describe(states)}`,
    );
  });
}

async function refused(exercise: Exercise, mutant: Mutant, provider: MachineProvider): Promise<void> {
  const vars = drawVars(exercise.vars);
  await begin(exercise, provider, vars, async (attempt, machine) => {
    const terminal = await machine.openTerminal({ columns: 100, rows: 30 });
    await typeScript(terminal, fillVars(mutant.script, vars));
    const found = (states: readonly TaskState[]) => states.some((task) => isRefusal(task, mutant));
    const states = await settle(attempt, found);
    expect(found(states), `the mutant ${mutant.name} was not refused as it says: ${describe(states)}`);
    const hint = states.find((task) => task.id === mutant.task)?.hint;
    expect(hint !== undefined, `there is no hint for the fault ${mutant.fault} of ${mutant.task}`);
  });
}

function isRefusal(task: TaskState, mutant: Mutant): boolean {
  return task.id === mutant.task && task.verdict?.ok === false && task.verdict.fault === mutant.fault;
}

async function begin(
  exercise: Exercise,
  provider: MachineProvider,
  vars: Vars,
  use: (attempt: Attempt, machine: Machine) => Promise<void>,
): Promise<void> {
  const machine = await provider.create();
  try {
    const attempt = await startAttempt(exercise, machine, { vars });
    try {
      await use(attempt, machine);
    } finally {
      attempt.close();
    }
  } finally {
    await machine.close();
  }
}

/** Looks until it is as wanted, or has had its time. */
async function settle(
  attempt: Attempt,
  wanted: (states: readonly TaskState[]) => boolean,
): Promise<readonly TaskState[]> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const states = await attempt.check();
    if (wanted(states) || Date.now() > deadline) return states;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function describe(states: readonly TaskState[]): string {
  return states
    .map(({ id, state, verdict }) => {
      if (!verdict || verdict.ok) return `${id} is ${state}`;
      return `${id} is ${state} (${verdict.fault}: ${verdict.says}, in ${verdict.where})`;
    })
    .join('; ');
}

function expect(holds: boolean, sentence: string): void {
  if (!holds) throw new TareError('state', sentence);
}
