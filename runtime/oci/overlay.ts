/**
 * The folders of an overlay mount: what a container of an image has for its root. Not of the runtime specification, which knows one
 * folder (config.md, "Root"); here, since the bundle that is compiled has it.
 * https://docs.kernel.org/filesystems/overlayfs.html
 */

/** Absolute; the uppermost of `lower` first. Without `upper` it is read-only. */
export interface OverlayFolders {
  readonly lower: readonly string[];
  readonly upper?: string;
  readonly work?: string;
}
