/**
 * The state of a container, as `state` prints it and hooks read it.
 * https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state
 */
import type { ContainerId } from './id.js';

export type Status = 'creating' | 'created' | 'running' | 'stopped';

export interface OciState {
  readonly ociVersion: string;
  readonly id: ContainerId;
  readonly status: Status;
  /** Not there while creating, and not after it has stopped. */
  readonly pid?: number;
  /** Absolute path of the bundle. */
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The version of the runtime specification that Tare's own documents (states, default configurations) carry. */
export const OCI_VERSION = '1.2.0';
