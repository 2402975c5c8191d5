/** What this version of Tare can be asked for: the other side of unsupported.ts, for who lists it. */
import type { Config } from './config.js';
import { unsupported } from './unsupported.js';

/** Whether a config may ask for this, on some kernel. */
export function supports(asked: Omit<Config, 'ociVersion'>): boolean {
  return unsupported({ ociVersion: '', ...asked }).length === 0;
}
