/**
 * What the global options of `tare-oci` say: where states are kept, where errors go, how cgroups are managed. They come before the
 * command, and runc's callers pass them with every call.
 */
import { Container } from '../../container/index.js';
import { stateRoot } from '../../kernel/places.js';
import { warning } from './log.js';

export interface Globals {
  readonly root?: string;
  readonly log?: string;
  readonly logFormat: 'text' | 'json';
  readonly systemdCgroup?: boolean;
  /** `true`, `false` or `auto`. */
  readonly rootless: string;
  readonly debug?: boolean;
  readonly criu?: string;
}

/** Read when a command runs: before, nothing has been parsed. */
export class OciContext {
  readonly #globals: () => Globals;

  constructor(globals: () => Globals) {
    this.#globals = globals;
  }

  get globals(): Globals {
    return this.#globals();
  }

  /** Where the states are: `--root`, or Tare's own place. */
  get root(): string {
    return this.globals.root ?? stateRoot();
  }

  /** @throws TareError `not-found` */
  open(id: string): Container {
    return Container.open(id, this.root, (sentence) => warning(this.globals, sentence));
  }
}
