/** A value that views follow: `set` replaces some of its fields, and whoever looks at it is drawn again. */
import { useEffect, useState } from 'preact/hooks';

export class Store<State extends object> {
  #listeners = new Set<() => void>();

  constructor(private state: State) {}

  get(): State {
    return this.state;
  }

  set(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export function useStore<State extends object>(store: Store<State>): State {
  const [state, setState] = useState(store.get());
  useEffect(() => {
    const follow = () => setState(store.get());
    follow();
    return store.subscribe(follow);
  }, [store]);
  return state;
}
