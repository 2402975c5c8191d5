/** One record of an extended header, as it is written: `LENGTH KEYWORD=VALUE\n`, where the length counts its own digits. pax(1) */
export function paxRecord(key: Uint8Array, value: Uint8Array): Buffer {
  const rest = key.length + value.length + 3; // the blank, the = and the end of the line
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.concat([Buffer.from(`${length} `), key, Buffer.from('='), value, Buffer.from('\n')]);
}
