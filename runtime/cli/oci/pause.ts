/** `tare-oci pause`: stops all processes of a container where they are. runc-pause(8). */
import { Command } from 'commander';
import type { OciContext } from './context.js';

export function pauseCommand(context: OciContext): Command {
  return new Command('pause').argument('<container-id>').action((id: string) => context.open(id).pause());
}
