/** Two panes and the line between them, which mouse, finger and arrow keys move (ARIA: a focusable separator). */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

const KEY = 'tare-split';
const LEAST = 30;
const MOST = 72;

export function Split({ left, right }: { left: ComponentChildren; right: ComponentChildren }) {
  const frame = useRef<HTMLDivElement>(null);
  const [share, setShare] = useState(remembered);
  const move = (percent: number) => setShare(Math.round(Math.min(MOST, Math.max(LEAST, percent)) * 10) / 10);
  useEffect(() => remember(share), [share]);

  const drag = (event: PointerEvent) => {
    const line = event.currentTarget as HTMLElement;
    line.setPointerCapture(event.pointerId);
    const follow = ({ clientX }: PointerEvent) => {
      const box = frame.current?.getBoundingClientRect();
      if (box) move(((clientX - box.left) / box.width) * 100);
    };
    line.addEventListener('pointermove', follow);
    line.addEventListener('lostpointercapture', () => line.removeEventListener('pointermove', follow), { once: true });
  };
  const keys = (event: KeyboardEvent) => {
    const wanted = { ArrowLeft: share - 2, ArrowRight: share + 2, Home: LEAST, End: MOST }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    move(wanted);
  };
  return (
    <div class="split" ref={frame} style={{ '--share': `${share}%` }}>
      {left}
      {/* biome-ignore lint/a11y/useSemanticElements: an <hr> cannot be a control; this is the ARIA window splitter */}
      <div
        class="split-line"
        role="separator"
        tabIndex={0}
        aria-label="Width of the lesson"
        aria-orientation="vertical"
        aria-valuemin={LEAST}
        aria-valuemax={MOST}
        aria-valuenow={Math.round(share)}
        onPointerDown={drag}
        onKeyDown={keys}
        onDblClick={() => move(50)}
      />
      {right}
    </div>
  );
}

function remembered(): number {
  try {
    const value = Number(localStorage.getItem(KEY));
    return value >= LEAST && value <= MOST ? value : 50;
  } catch {
    // Storage may be forbidden; then nothing is remembered.
    return 50;
  }
}

function remember(share: number): void {
  try {
    localStorage.setItem(KEY, String(share));
  } catch {
    // As above.
  }
}
