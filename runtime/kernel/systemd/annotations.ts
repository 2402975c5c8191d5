/**
 * Properties of the scope that the configuration names: annotations `org.systemd.property.NAME`, whose value is as gdbus(1) writes one:
 * `true`, `'text'`, `37`, `uint64 90000000`, `['a', 'b']`. CRI-O and Podman send such, and Podman also those of the image: so none may reach
 * beyond the scope. NAMESec counts seconds, and becomes NAMEUSec. systemd.unit(5).
 */
import { TareError } from '../error.js';
import type { Property } from './properties.js';

export const SYSTEMD_PROPERTIES = 'org.systemd.property.';

/** Numbers: D-Bus' letter for the type, and what fits in it. */
const TYPES: Readonly<Record<string, { signature: string; least: bigint; most: bigint }>> = {
  int32: { signature: 'i', least: -(2n ** 31n), most: 2n ** 31n - 1n },
  uint32: { signature: 'u', least: 0n, most: 2n ** 32n - 1n },
  uint64: { signature: 't', least: 0n, most: 2n ** 64n - 1n },
};

/**
 * What starts and stops other units (Wants=poweroff.target, Conflicts=sshd.service), acts on the machine (SuccessAction=reboot), or says
 * where the scope is, what is in it and what devices it has. The order of units (After, Before) does none of that.
 */
const BEYOND =
  /^(Requires.*|Requisite.*|Wants.*|BindsTo|BoundBy|PartOf|ConsistsOf|Upholds|UpheldBy|Conflicts|ConflictedBy|On(Success|Failure).*|Propagates.*|Reload.*|StopPropagated.*|Joins.*|Trigger.*|.*Action|.*RebootArgument|Slice.*|PIDs|Controller|Delegate.*|Device.*|BPF.*|ControlGroup|AddRef)$/;

/** @throws TareError `config` with the path of the annotation */
export function annotatedProperties(annotations: Readonly<Record<string, string>> = {}): Property[] {
  return Object.entries(annotations)
    .filter(([key]) => key.startsWith(SYSTEMD_PROPERTIES))
    .map(([key, text]) => {
      const name = key.slice(SYSTEMD_PROPERTIES.length);
      const path = `annotations[${JSON.stringify(key)}]`;
      if (!/^[A-Za-z]{3,}$/.test(name)) refuse(path, 'names no property of systemd');
      const value = parse(text.trim());
      if (value === undefined) return refuse(path, `has no value that is understood: ${text}`);
      if (BEYOND.test(name)) refuse(path, 'would reach beyond the scope of the container');
      if (!/[^U]Sec$/.test(name)) return [name, value];
      const microseconds = typeof value.value === 'bigint' ? value.value * 1_000_000n : -1n;
      if (microseconds < 0n || microseconds >= 2n ** 64n) return refuse(path, `is no number of seconds: ${text}`);
      return [name.replace(/Sec$/, 'USec'), { signature: 't', value: microseconds }];
    });
}

function parse(text: string): Property[1] | undefined {
  if (text === 'true' || text === 'false') return { signature: 'b', value: text === 'true' };
  const quoted = /^(?:'([^'\\]*)'|"([^"\\]*)")$/.exec(text);
  if (quoted) return { signature: 's', value: quoted[1] ?? quoted[2] ?? '' };
  const [, type = 'int32', digits] = /^(?:(int32|uint32|uint64) )?(-?\d{1,20})$/.exec(text) ?? [];
  const range = TYPES[type];
  if (digits !== undefined && range !== undefined) {
    const value = BigInt(digits);
    return value >= range.least && value <= range.most ? { signature: range.signature, value } : undefined;
  }
  if (!/^\[.*\]$/.test(text)) return undefined;
  const items = text
    .slice(1, -1)
    .split(',')
    .map((item) => parse(item.trim()));
  if (items.some((item) => item?.signature !== 's')) return undefined;
  return { signature: 'as', value: items.map((item) => String(item?.value)) };
}

function refuse(path: string, why: string): never {
  throw new TareError('config', `${path} ${why}`, { path });
}
