/** How a container ended, from the wait status of wait(2). */
export interface ExitStatus {
  /** What a shell would show: the exit code, or 128+n for signal n. */
  readonly code: number;
  /** The signal that killed it. */
  readonly signal?: number;
}

export function exitStatus(waitStatus: number): ExitStatus {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? { code: (waitStatus >> 8) & 0xff } : { code: 128 + signal, signal };
}
