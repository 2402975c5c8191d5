/** `tare-oci resume`: lets the processes of a paused container go on. runc-resume(8). */
import { Command } from 'commander';
import type { OciContext } from './context.js';

export function resumeCommand(context: OciContext): Command {
  return new Command('resume').argument('<container-id>').action((id: string) => context.open(id).resume());
}
