/**
 * The sections of config.json for other platforms than Linux. Tare makes no container of them; they are read so that what
 * they cannot mean is said by its path. config-freebsd.md, config-solaris.md, config-vm.md, config-zos.md.
 */
import { u32, u64 } from './fields.js';
import { array, flag, integer, object, optional, text, word } from './schema.js';

const sharing = optional(word(['disable', 'new', 'inherit']));
/** The host and its network stack cannot be switched off. */
const sharingOrNew = optional(word(['new', 'inherit']));

export const freebsdSchema = object({
  devices: optional(array(object({ path: optional(text), mode: optional(integer(0, 0o777)) }))),
  jail: optional(
    object({
      parent: optional(text),
      host: sharingOrNew,
      ip4: sharing,
      ip4Addr: optional(array(text)),
      ip6: sharing,
      ip6Addr: optional(array(text)),
      vnet: sharingOrNew,
      interface: optional(text),
      vnetInterfaces: optional(array(text)),
      sysvmsg: sharing,
      sysvsem: sharing,
      sysvshm: sharing,
      enforceStatfs: optional(integer(0, 255)),
      allow: optional(
        object({
          setHostname: optional(flag),
          rawSockets: optional(flag),
          chflags: optional(flag),
          mount: optional(array(text)),
          quotas: optional(flag),
          socketAf: optional(flag),
          mlock: optional(flag),
          reservedPorts: optional(flag),
          suser: optional(flag),
        }),
      ),
    }),
  ),
});

export const solarisSchema = object({
  milestone: optional(text),
  limitpriv: optional(text),
  maxShmMemory: optional(text),
  cappedCPU: optional(object({ ncpus: optional(text) })),
  cappedMemory: optional(object({ physical: optional(text), swap: optional(text) })),
  anet: optional(
    array(
      object({
        linkname: optional(text),
        lowerLink: optional(text),
        allowedAddress: optional(text),
        configureAllowedAddress: optional(text),
        defrouter: optional(text),
        macAddress: optional(text),
        linkProtection: optional(text),
      }),
    ),
  ),
});

export const vmSchema = object({
  hypervisor: optional(object({ path: text, parameters: optional(array(text)) })),
  kernel: object({ path: text, parameters: optional(array(text)), initrd: optional(text) }),
  image: optional(object({ path: text, format: word(['raw', 'qcow2', 'vdi', 'vmdk', 'vhd']) })),
  hwConfig: optional(
    object({
      deviceTree: optional(text),
      vcpus: optional(u32),
      memory: optional(u64),
      dtdevs: optional(array(text)),
      iomems: optional(array(object({ firstGFN: optional(u64), firstMFN: u64, nrMFNs: u64 }))),
      irqs: optional(array(u32)),
    }),
  ),
});

export const zosSchema = object({
  namespaces: optional(array(object({ type: word(['mount', 'pid', 'uts', 'ipc']), path: optional(text) }))),
});
