/**
 * The WebSocket of this page's session: kept open, opened again after a loss (sooner at first, then every five seconds), and
 * left closed when the server said why. The session's name lasts as long as the tab, so that a reload finds its machine.
 */
import type { ClientMessage, ServerMessage } from '../../protocol.js';
import { CLOSE, MAX_FRAME } from '../../protocol.js';

export type ConnectionState =
  | { readonly state: 'off' | 'connecting' | 'open' }
  | { readonly state: 'lost' | 'replaced' | 'closed'; readonly sentence: string };

export interface ConnectionEvents {
  state(state: ConnectionState): void;
  message(message: ServerMessage): void;
  output(terminal: number, data: Uint8Array): void;
}

export class Connection {
  #socket: WebSocket | undefined;
  #retry = 0;
  #timer: number | undefined;

  constructor(private readonly events: ConnectionEvents) {}

  open(): void {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.events.state({ state: 'connecting' });
    const socket = new WebSocket(`ws://${location.host}/api/session?id=${sessionName()}`);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#retry = 0;
      this.events.state({ state: 'open' });
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === 'string') this.events.message(JSON.parse(data) as ServerMessage);
      else this.events.output(new DataView(data).getUint32(0), new Uint8Array(data, 4));
    };
    socket.onclose = (event) => this.#closed(event);
  }

  send(message: ClientMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Terminal input, in frames that the server takes: a pasted file may be longer than one. */
  input(terminal: number, data: Uint8Array): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const piece = MAX_FRAME / 4;
    for (let at = 0; at < data.length; at += piece) {
      const part = data.subarray(at, at + piece);
      const frame = new Uint8Array(4 + part.length);
      new DataView(frame.buffer).setUint32(0, terminal);
      frame.set(part, 4);
      this.#socket.send(frame);
    }
  }

  #closed({ code, reason }: CloseEvent): void {
    this.#socket = undefined;
    if (code === CLOSE.replaced || code === CLOSE.malformed) {
      const state = code === CLOSE.replaced ? 'replaced' : 'closed';
      this.events.state({ state, sentence: reason });
      return;
    }
    const sentence = code === CLOSE.goodbye ? reason : 'The connection to the lab is lost.';
    this.events.state({ state: 'lost', sentence });
    this.#retry += 1;
    this.#timer = window.setTimeout(() => this.open(), Math.min(5000, 250 * 2 ** this.#retry));
  }
}

function sessionName(): string {
  const key = 'tare-session';
  const make = () =>
    [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  try {
    const known = sessionStorage.getItem(key);
    if (known && /^[0-9a-f]{32}$/.test(known)) return known;
    const made = make();
    sessionStorage.setItem(key, made);
    return made;
  } catch {
    // Storage may be forbidden; then a reload gets a machine of its own.
    return make();
  }
}
