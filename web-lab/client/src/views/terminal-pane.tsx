/** The terminals, as tabs (ARIA: tabs with arrow keys), and below them what there is to know about the machine. */
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../icons.js';
import {
  closeTerminal,
  lab,
  newMachine,
  openTerminal,
  putFailureAway,
  reconnect,
  showTerminal,
  type Tab,
} from '../lab.js';
import { useStore } from '../store.js';
import { Notice } from './notice.js';

export function TerminalPane() {
  const { tabs, active, machine, limits, failure } = useStore(lab);
  const ready = machine.state === 'ready';
  return (
    <section class="terminal-pane" aria-label="Terminals">
      <div class="tab-bar">
        <TabList tabs={tabs} active={active} />
        <button
          type="button"
          class="tab-new"
          aria-label="Open another terminal"
          title="Open another terminal"
          disabled={!ready || tabs.length >= limits.terminals}
          onClick={() => void openTerminal()}
        >
          <Icon name="plus" />
        </button>
        {active !== undefined && (
          <button
            type="button"
            class="tab-new"
            aria-label="Close this terminal"
            title="Close this terminal"
            onClick={() => closeTerminal(active)}
          >
            <Icon name="close" />
          </button>
        )}
        <span class="spacer" />
        <button type="button" class="tab-machine" disabled={machine.state === 'starting'} onClick={newMachine}>
          <Icon name="reset" /> Fresh machine
        </button>
      </div>
      <div class="screens">
        {tabs.map((tab) => (
          <Screen key={tab.key} tab={tab} active={tab.key === active} />
        ))}
        <Overlay />
        {failure && (
          <Notice
            kind="error"
            action={
              <button type="button" class="quiet" aria-label="Put this message away" onClick={putFailureAway}>
                <Icon name="close" />
              </button>
            }
          >
            {failure}
          </Notice>
        )}
      </div>
      <StatusBar />
    </section>
  );
}

function TabList({ tabs, active }: { tabs: readonly Tab[]; active?: number }) {
  const list = useRef<HTMLDivElement>(null);
  const keys = (event: KeyboardEvent) => {
    const at = tabs.findIndex(({ key }) => key === active);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === 'Delete' && active !== undefined) closeTerminal(active);
    const wanted = step === undefined ? undefined : tabs[(at + step + tabs.length) % tabs.length];
    if (!wanted) return;
    event.preventDefault();
    showTerminal(wanted.key);
    list.current?.querySelector<HTMLElement>(`#tab-${wanted.key}`)?.focus();
  };
  if (tabs.length === 0) return <span class="tab-none">Terminal</span>;
  return (
    <div class="tabs" role="tablist" aria-label="Terminals" ref={list} onKeyDown={keys}>
      {tabs.map(({ key, title, ended }) => (
        <span class={`tab${key === active ? ' active' : ''}`} role="presentation" key={key}>
          <button
            type="button"
            role="tab"
            id={`tab-${key}`}
            aria-selected={key === active}
            aria-controls={`screen-${key}`}
            tabIndex={key === active ? 0 : -1}
            onClick={() => showTerminal(key)}
          >
            {title}
            {ended && ' (ended)'}
          </button>
        </span>
      ))}
    </div>
  );
}

function Screen({ tab, active }: { tab: Tab; active: boolean }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    host.current?.append(tab.terminal.element);
    tab.terminal.show();
    tab.terminal.label(tab.title);
  }, [tab.terminal, tab.title]);
  useEffect(() => {
    if (active) tab.terminal.fit();
  }, [active, tab.terminal]);
  return (
    <div
      class="screen"
      role="tabpanel"
      id={`screen-${tab.key}`}
      aria-labelledby={`tab-${tab.key}`}
      hidden={!active}
      ref={host}
    />
  );
}

/** What stands in the terminals' place, or over them, when they cannot be used. */
function Overlay() {
  const { connection, machine, tabs } = useStore(lab);
  if (connection.state === 'replaced' || connection.state === 'closed') {
    return (
      <Offer title={connection.sentence} action="Use it here" onAction={reconnect}>
        A machine can be used by one page at a time.
      </Offer>
    );
  }
  if (connection.state === 'lost') return <Offer title={connection.sentence}>Trying again…</Offer>;
  if (machine.state === 'ended') {
    return (
      <Offer title="The machine has ended" action="Start a new machine" onAction={newMachine} over={tabs.length > 0}>
        {machine.sentence} What was in it is gone; your progress is kept.
      </Offer>
    );
  }
  if (machine.state === 'refused') {
    return (
      <Offer title="There is no machine" action="Try again" onAction={newMachine}>
        {machine.sentence}
      </Offer>
    );
  }
  if (machine.state === 'starting')
    return (
      <Offer title="Starting a machine" busy>
        {machine.sentence}
      </Offer>
    );
  if (machine.state === 'none') return <Offer title="Connecting" busy />;
  if (tabs.length > 0) return null;
  return <Offer title="No terminal is open" action="Open a terminal" onAction={() => void openTerminal()} />;
}

interface OfferProps {
  title: string;
  children?: preact.ComponentChildren;
  action?: string;
  onAction?: () => void;
  busy?: boolean;
  over?: boolean;
}

function Offer({ title, children, action, onAction, busy, over }: OfferProps) {
  return (
    <div class={`offer${over ? ' over' : ''}`}>
      <div class="offer-box">
        {busy && <span class="spinner" aria-hidden="true" />}
        <h2>{title}</h2>
        {children && <p>{children}</p>}
        {action && (
          <button type="button" class="button primary" onClick={onAction}>
            {action}
          </button>
        )}
      </div>
    </div>
  );
}

function StatusBar() {
  const { machine, connection } = useStore(lab);
  const ready = machine.state === 'ready' && connection.state === 'open';
  return (
    <footer class="status-bar">
      <span class={`light ${ready ? 'on' : machine.state}`} aria-hidden="true" />
      {machine.state === 'ready' ? (
        <>
          <span>
            Machine {machine.restored ? 'restored' : 'booted'} in {(machine.milliseconds / 1000).toFixed(1)} s
          </span>
          {machine.accelerator === 'tcg' && (
            <span
              class="status-note"
              title="KVM cannot be used here, so QEMU translates each instruction of the machine."
            >
              Without KVM, programs in it run slower
            </span>
          )}
        </>
      ) : (
        <span>
          {machine.state === 'starting' ? machine.sentence : machine.state === 'ended' ? 'Ended' : 'No machine'}
        </span>
      )}
      <span class="spacer" />
      <span class="wide-only">
        <kbd>F6</kbd> leaves the terminal
      </span>
    </footer>
  );
}
