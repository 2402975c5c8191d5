/** Commands that people know from Docker and Podman and that Tare does not have, or has under another name: what there is instead. */

/** The sentence; undefined of a word that is none of these. */
export function elsewhere(command: string): string | undefined {
  return SENTENCES.get(command);
}

const ONE_BY_ONE = 'a container of Tare ends with "tare run" and is gone then';
const NO_NETWORKS =
  'there are no networks yet: a container has its loopback, or the host’s network by "tare run --network host"';

const SENTENCES: ReadonlyMap<string, string> = new Map([
  ['rm', '"tare delete" removes a container, and "tare rmi" an image'],
  ['unpause', '"tare resume" lets a container go on'],
  ['start', `${ONE_BY_ONE}: "tare run" makes another one; for create and start there is tare-oci`],
  ['create', `${ONE_BY_ONE}: "tare run" makes and starts one; for create and start there is tare-oci`],
  ['restart', `${ONE_BY_ONE}: "tare run" makes another one`],
  ['logs', 'what a container prints goes to the terminal of its "tare run", and is not kept'],
  ['attach', 'its "tare run" has the container’s terminal; "tare exec -it ID -- sh" opens another one'],
  ['wait', '"tare run" waits for its container, and ends with its exit code'],
  [
    'cp',
    '"tare exec ID -- cat FILE" reads a file of a container, "tare export" all of them, and "tare run -v" shows it a folder',
  ],
  [
    'commit',
    '"tare export ID | tare import - NAME" makes an image of a container’s files, and "tare build" one that can be made again',
  ],
  [
    'diff',
    'a container writes to /var/lib/tare/containers/ID.*/upper; "tare image layers" says what each layer of an image changed',
  ],
  ['top', '"tare exec ID -- ps" lists its processes, and "tare inspect ID" says how contained they are'],
  ['stats', '"tare inspect ID" says what a container is limited to, and "tare-oci events --stats ID" what it uses'],
  ['rename', '"tare run --name" names a container'],
  ['update', '"tare-oci update" changes the limits of a container'],
  ['port', NO_NETWORKS],
  ['network', NO_NETWORKS],
  ['volume', 'there are no volumes by name: "tare run -v ./folder:/path" shows a folder of the host'],
  ['container', 'its commands stand alone: tare run, ps, exec, stop, kill, delete, export'],
  ['prune', '"tare image prune" removes what nothing uses, and "tare gc" what crashed commands left'],
  ['builder', '"tare build" needs no builder; "tare image prune --all" forgets what builds have cached'],
  ['buildx', '"tare build" builds'],
  ['search', 'a registry’s own page finds images'],
  ['version', '"tare --version" prints it'],
  ['info', '"tare system df" says what is stored, and "tare-oci features" what this kernel can do'],
  ['compose', 'Tare starts containers one by one: "tare run"'],
  ['manifest', '"tare image inspect" shows an index, and "tare pull --all-platforms" gets all of it'],
]);
