/**
 * Where facts about processes are read: this machine's /proc, or a virtual machine's through its agent. Everything that
 * says what is true about a process (exercise checks, `tare inspect`, the containment report) stands on this, so that one
 * piece of code says it, wherever the process is. Paths are absolute. Failures keep Node's convention: an Error with `code`
 * (`ENOENT`, `EACCES`, `ESRCH` ...).
 */
export interface ProcSource {
  /** The whole of a file; at most `maxBytes` (4 MiB unless told), else EFBIG. */
  readFile(path: string, maxBytes?: number): Promise<Buffer>;
  readlink(path: string): Promise<string>;
  /** Names, without `.` and `..`, in no particular order. */
  readdir(path: string): Promise<string[]>;
  /** statx of the path, following symbolic links. */
  stat(path: string): Promise<FileFacts>;
}

export interface FileFacts {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly rdev: number;
}
