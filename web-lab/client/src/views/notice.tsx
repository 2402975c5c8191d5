/** A sentence that the learner should see, with what can be done about it. */
import type { ComponentChildren } from 'preact';
import { Icon } from '../icons.js';

export function Notice({
  kind,
  children,
  action,
}: {
  kind: 'warning' | 'error' | 'info';
  children: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <div class={`notice ${kind}`} role={kind === 'error' ? 'alert' : 'status'}>
      <Icon name="alert" />
      <p>{children}</p>
      {action}
    </div>
  );
}
