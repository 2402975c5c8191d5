/**
 * The page's side of a session: what the server said, as state that views follow, and what the learner can do, as functions.
 * Terminals are opened as soon as a machine is ready: one, or as many as the exercise asks for.
 */
import type {
  AttemptView,
  LimitsView,
  MachineView,
  ProgressView,
  ServerMessage,
  TerminalView,
} from '../../protocol.js';
import { Connection, type ConnectionState } from './connection.js';
import { Store } from './store.js';
import { PageTerminal, terminalFont } from './terminals.js';

export interface Tab {
  /** Of this page; stays the same while the terminal is being opened. */
  readonly key: number;
  readonly title: string;
  /** The server's; undefined until it is open. */
  readonly id?: number;
  readonly terminal: PageTerminal;
  /** The machine went away under it: its last output is still to be read. */
  readonly ended: boolean;
}

export interface LabState {
  readonly connection: ConnectionState;
  readonly machine: MachineView;
  readonly limits: LimitsView;
  readonly attempt?: AttemptView;
  readonly solution?: { readonly exercise: string; readonly text: string };
  readonly solving: boolean;
  readonly progress: ProgressView;
  readonly tabs: readonly Tab[];
  readonly active?: number;
  /** One sentence about something that could not be done, until it is put away. */
  readonly failure?: string;
  /** Whether terminals keep a copy of their text for screen readers, which costs time. */
  readonly screenReader: boolean;
  /** Said to screen readers. */
  readonly announcement: string;
}

export const lab = new Store<LabState>({
  connection: { state: 'off' },
  machine: { state: 'none' },
  limits: { terminals: 8, idleMinutes: 30 },
  solving: false,
  progress: { exercises: {}, chapters: {} },
  tabs: [],
  screenReader: false,
  announcement: '',
});

let chapter = '';
let terminalsWanted = 1;
let nextKey = 1;
/** The machine for which terminals were opened. */
let furnished = 0;

const connection = new Connection({
  state: (state) => lab.set({ connection: state }),
  message: receive,
  output: (id, data) => tabOf(id)?.terminal.output(data),
});

export function openChapter(id: string): void {
  chapter = id;
  // By the time that the machine is there the font is too.
  void terminalFont();
  if (lab.get().connection.state === 'open') connection.send({ type: 'chapter.open', chapter });
  else if (lab.get().connection.state !== 'replaced') connection.open();
}

/** After the session was taken over by another tab. */
export const reconnect = () => connection.open();

export const readChapter = (id: string) => connection.send({ type: 'chapter.read', chapter: id });

export function newMachine(): void {
  terminalsWanted = 1;
  connection.send({ type: 'machine.new' });
}

export function startExercise(exercise: string, terminals: number): void {
  terminalsWanted = terminals;
  lab.set({ solution: undefined, failure: undefined });
  connection.send({ type: 'exercise.start', exercise });
}

export const checkNow = () => connection.send({ type: 'exercise.check' });
export const showSolution = () => connection.send({ type: 'exercise.solution' });
export const hideSolution = () => lab.set({ solution: undefined });

export function runSolution(): void {
  const terminal = activeTab()?.terminal;
  lab.set({ solving: true });
  connection.send({ type: 'exercise.solve', columns: terminal?.columns ?? 80, rows: terminal?.rows ?? 24 });
}

/** Types a code block's commands into the terminal that is shown. */
export function runInTerminal(text: string): boolean {
  const tab = activeTab();
  if (tab?.id === undefined || tab.ended) {
    lab.set({ failure: 'There is no terminal to run this in yet: wait for the machine, or open one.' });
    return false;
  }
  tab.terminal.type(text);
  return true;
}

export async function openTerminal(): Promise<void> {
  await terminalFont();
  const key = nextKey++;
  const title = `Terminal ${lab.get().tabs.length + 1}`;
  const terminal = new PageTerminal(title, lab.get().screenReader);
  lab.set({ tabs: [...lab.get().tabs, { key, title, terminal, ended: false }], active: key });
  // Once the pane has drawn it, it has a size, and the program starts with that size.
  requestAnimationFrame(() => {
    terminal.show();
    connection.send({ type: 'terminal.open', request: key, columns: terminal.columns, rows: terminal.rows });
  });
}

export function closeTerminal(key: number): void {
  const tab = lab.get().tabs.find((tab) => tab.key === key);
  if (tab?.id !== undefined) connection.send({ type: 'terminal.close', terminal: tab.id });
  remove(key);
}

export function supportScreenReader(on: boolean): void {
  lab.set({ screenReader: on });
  for (const { terminal } of lab.get().tabs) terminal.screenReader(on);
}

export const showTerminal = (key: number) => lab.set({ active: key });
export const putFailureAway = () => lab.set({ failure: undefined });

export function activeTab(): Tab | undefined {
  const { tabs, active } = lab.get();
  return tabs.find(({ key }) => key === active);
}

function receive(message: ServerMessage): void {
  switch (message.type) {
    case 'welcome':
      welcome(message);
      break;
    case 'machine':
      machineChanged(message.machine);
      break;
    case 'terminal.opened':
      opened(message.terminal, message.request);
      break;
    case 'terminal.exited':
      exited(message.terminal, message.status);
      break;
    case 'attempt':
      attemptChanged(message.attempt);
      break;
    case 'solution':
      lab.set({ solution: message });
      break;
    case 'solved':
      lab.set({ solving: false });
      break;
    case 'progress':
      lab.set({ progress: message.progress });
      break;
    case 'failed':
      if (message.request !== undefined) remove(message.request);
      lab.set({ solving: false });
      if (message.code !== 'superseded') lab.set({ failure: message.sentence });
      break;
  }
}

function welcome(message: Extract<ServerMessage, { type: 'welcome' }>): void {
  for (const { terminal } of lab.get().tabs) terminal.dispose();
  const { limits, machine, attempt, progress } = message;
  lab.set({ limits, machine, attempt, progress, tabs: [], active: undefined, failure: undefined, solving: false });
  furnished = machine.state === 'ready' ? machine.generation : 0;
  for (const view of message.terminals) opened(view);
  if (machine.state === 'ready' && message.terminals.length === 0) void openTerminal();
  connection.send({ type: 'chapter.open', chapter });
}

function machineChanged(machine: MachineView): void {
  lab.set({ machine });
  if (machine.state === 'starting') clearTabs();
  if (machine.state === 'ended' || machine.state === 'refused') say(machine.sentence);
  if (machine.state !== 'ready' || machine.generation === furnished) return;
  furnished = machine.generation;
  say('The machine is ready.');
  void furnish(terminalsWanted);
}

async function furnish(count: number): Promise<void> {
  for (let made = 0; made < count; made++) await openTerminal();
  const first = lab.get().tabs[0];
  if (first) showTerminal(first.key);
}

function opened(view: TerminalView, request?: number): void {
  const { tabs } = lab.get();
  const pending = tabs.find(({ key }) => key === request);
  const tab: Tab = pending
    ? { ...pending, id: view.id }
    : {
        key: nextKey++,
        id: view.id,
        title: view.title,
        terminal: new PageTerminal(view.title, lab.get().screenReader),
        ended: false,
      };
  lab.set({
    tabs: pending ? tabs.map((other) => (other === pending ? tab : other)) : [...tabs, tab],
    active: pending ? lab.get().active : tab.key,
  });
  const { id } = view;
  tab.terminal.connect({
    input: (data) => connection.input(id, data),
    acknowledge: (bytes) => connection.send({ type: 'terminal.ack', terminal: id, bytes }),
    resize: (columns, rows) => connection.send({ type: 'terminal.resize', terminal: id, columns, rows }),
  });
}

function exited(id: number, status: number): void {
  const tab = tabOf(id);
  if (!tab) return;
  if (status !== -1) {
    remove(tab.key);
    return;
  }
  tab.terminal.disconnect();
  lab.set({ tabs: lab.get().tabs.map((other) => (other === tab ? { ...tab, id: undefined, ended: true } : other)) });
}

function attemptChanged(attempt: AttemptView | undefined): void {
  const before = lab.get().attempt;
  const done = (view?: AttemptView) => new Set(view?.tasks.filter(({ state }) => state === 'done').map(({ id }) => id));
  const known = done(before?.exercise === attempt?.exercise ? before : undefined);
  const news = attempt?.tasks.filter(({ id, state }) => state === 'done' && !known.has(id)) ?? [];
  if (news.length > 0) say(`Done: ${news.map(({ prompt }) => prompt).join(' ')}`);
  if (attempt?.state === 'done' && before?.state !== 'done') say('All tasks of this exercise are done.');
  lab.set({ attempt, solving: lab.get().solving && attempt !== undefined });
}

function say(announcement: string): void {
  lab.set({ announcement });
}

function tabOf(id: number): Tab | undefined {
  return lab.get().tabs.find((tab) => tab.id === id);
}

function remove(key: number): void {
  const { tabs, active } = lab.get();
  const at = tabs.findIndex((tab) => tab.key === key);
  if (at === -1) return;
  tabs[at]?.terminal.dispose();
  const left = tabs.filter((tab) => tab.key !== key);
  lab.set({ tabs: left, active: active === key ? (left[at] ?? left[at - 1])?.key : active });
}

function clearTabs(): void {
  for (const { terminal } of lab.get().tabs) terminal.dispose();
  lab.set({ tabs: [], active: undefined });
}
