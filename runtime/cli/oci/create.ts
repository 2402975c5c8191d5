/** `tare-oci create`: makes a container and leaves it before its program starts. runtime-spec, runtime.md, "Create". */
import { Command } from 'commander';
import type { OciContext } from './context.js';
import { addCreateOptions, type CreateFlags, createDetached, withoutEmpty } from './create-options.js';

export function createCommand(context: OciContext): Command {
  return addCreateOptions(new Command('create')).action(async (id: string, flags: CreateFlags) => {
    await createDetached(context, id, withoutEmpty(flags));
  });
}
