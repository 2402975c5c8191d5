/**
 * The state of a container, as `state` prints it and hooks read it.
 * https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state
 */
import type { ContainerId } from './id.js';

/** `paused` is not the specification's: runc has it, and engines that pause containers look for it. */
export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

export interface OciState {
  readonly ociVersion: string;
  readonly id: ContainerId;
  readonly status: Status;
  /** Not there while creating, and not after it has stopped. */
  readonly pid?: number;
  /** Absolute path of the bundle. */
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Absolute path of the root file system. As runc has it, and the two below. */
  readonly rootfs?: string;
  /** When it was created, as RFC 3339 has it, in UTC. */
  readonly created?: string;
  /** `list` has the name of the owner of its state folder here, `state` an empty text. */
  readonly owner?: string;
}

/** The version of the runtime specification that Tare's own documents (states, default configurations) carry. */
export const OCI_VERSION = '1.3.0';
