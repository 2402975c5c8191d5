/**
 * Properties of the scope that the configuration names: annotations `org.systemd.property.NAME`, whose value is as gdbus(1) writes one:
 * `true`, `'text'`, `37`, `uint64 90000000`, `['a', 'b']`. CRI-O and Podman send such, and Podman also those of the image: so none may reach
 * beyond the scope. NAMESec counts seconds, and becomes NAMEUSec. systemd.unit(5).
 */
import { TareError } from '../error.js';
import type { Property } from './properties.js';

export const SYSTEMD_PROPERTIES = 'org.systemd.property.';
const TYPES: Readonly<Record<string, string>> = { int32: 'i', uint32: 'u', uint64: 't' };

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
      if (typeof value.value !== 'number') return refuse(path, `is no number of seconds: ${text}`);
      const microseconds = { signature: 't', value: BigInt(Math.round(value.value * 1_000_000)) };
      return [name.replace(/Sec$/, 'USec'), microseconds];
    });
}

function parse(text: string): Property[1] | undefined {
  if (text === 'true' || text === 'false') return { signature: 'b', value: text === 'true' };
  const quoted = /^(?:'([^'\\]*)'|"([^"\\]*)")$/.exec(text);
  if (quoted) return { signature: 's', value: quoted[1] ?? quoted[2] ?? '' };
  const [, type = 'int32', digits] = /^(?:(int32|uint32|uint64) )?(-?\d+)$/.exec(text) ?? [];
  if (digits !== undefined) return { signature: TYPES[type] ?? 'i', value: Number(digits) };
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
