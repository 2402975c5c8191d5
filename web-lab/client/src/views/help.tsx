/** The keys, in a modal dialog. */
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../icons.js';
import { lab, supportScreenReader } from '../lab.js';
import { useStore } from '../store.js';

const KEYS: readonly (readonly [string, string])[] = [
  ['F6', 'Go from the lesson to the terminal and back, also from inside a terminal'],
  ['F8', 'Check the tasks now (they check themselves while you work)'],
  ['Tab', 'Go through links, buttons and code; inside a terminal it belongs to the shell'],
  ['← →', 'Between terminal tabs; on the line between lesson and terminal, move it'],
  ['Delete', 'On a terminal’s tab, close it'],
  ['Ctrl+Shift+C / V', 'Copy and paste in a terminal, as your browser allows'],
];

export function Help({ onClose }: { onClose: () => void }) {
  const { screenReader } = useStore(lab);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={onClose}>
      <div class="help-head">
        <h2 id="help-title">Keys</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
      </div>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="help-choice">
        <input
          type="checkbox"
          checked={screenReader}
          onChange={(event) => supportScreenReader(event.currentTarget.checked)}
        />
        Let screen readers read the terminals
      </label>
    </dialog>
  );
}
