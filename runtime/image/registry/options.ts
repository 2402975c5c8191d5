/** What is common to all that is done with a registry. */
import type { OnProgress } from '../types.js';
import { type ClientOptions, RegistryClient } from './client.js';
import { type EndpointOptions, endpointOf } from './endpoint.js';

export interface RegistryOptions
  extends Pick<ClientOptions, 'certDir' | 'credentials' | 'limits' | 'signal'>,
    EndpointOptions {
  readonly onProgress?: OnProgress | undefined;
}

/** A client of the registry itself, not of a mirror. */
export function connectTo(registry: string, options: RegistryOptions): Promise<RegistryClient> {
  return RegistryClient.connect(registry, endpointOf(registry, options), options);
}

/** A progress line for what is tried again before there are layers. */
export function retryReporter({ onProgress }: RegistryOptions, id: string): ((reason: string) => void) | undefined {
  return onProgress && ((detail) => onProgress({ id, action: 'retrying', detail }));
}
