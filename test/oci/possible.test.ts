/** Configs that are valid, and of which no container is made. */
import { describe, expect, it } from 'vitest';
import { checkConfig, refuseChangesOfHost, refuseUnsupported, validConfig } from '../../runtime/oci/index.js';
import { type Json, minimal, withField } from './minimal.js';

const map = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size });
const namespaces = (...types: string[]) => ['mount', 'uts', ...types].map((type) => ({ type }));

describe('a section for another platform', () => {
  it.each(['zos', 'freebsd', 'solaris', 'windows'])('asks for what is not there: %s', (platform) => {
    const section = { namespaces: [{ type: 'pid' }], jail: {}, milestone: 'x' };
    const config = validConfig({ ...minimal(), linux: undefined, [platform]: section });
    expect(() => refuseUnsupported(config)).toThrow(
      `config.json: ${platform} asks for a container for ${platform}; Tare makes them for Linux`,
    );
  });

  it('is nothing beside one for Linux, nor when it is empty', () => {
    refuseUnsupported(validConfig({ ...minimal(), zos: { namespaces: [{ type: 'pid' }] } }));
    refuseUnsupported(validConfig({ ...minimal(), linux: undefined, zos: {} }));
  });
});

describe('what would change the host', () => {
  const refusal = (config: Json): string => {
    try {
      refuseChangesOfHost(validConfig(config), new Set());
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it.each<[field: string, value: unknown, namespace: string, why: string]>([
    ['hostname', 'box', 'uts', 'hostname needs a uts namespace'],
    ['domainname', 'lan', 'uts', 'domainname needs a uts namespace'],
    ['linux.sysctl', { 'net.ipv4.ip_forward': '1' }, 'network', 'linux.sysctl["net.ipv4.ip_forward"] needs a network'],
    ['linux.sysctl', { 'kernel.sem': '1' }, 'ipc', 'linux.sysctl["kernel.sem"] needs a ipc'],
    ['linux.sysctl', { 'fs/mqueue/msg_max': '1' }, 'ipc', 'linux.sysctl["fs/mqueue/msg_max"] needs a ipc'],
    ['linux.sysctl', { 'kernel.domainname': 'lan' }, 'uts', 'linux.sysctl["kernel.domainname"] needs a uts'],
    ['linux.sysctl', { 'user.max_user_namespaces': '1' }, 'user', 'needs a user namespace'],
  ])('%s = %j needs a namespace: %s', (field, value, namespace, why) => {
    const config = withField(field, value);
    const linux = { ...(config.linux as Json), namespaces: [{ type: 'mount' }] };
    expect(checkConfig({ ...config, linux }).faults).toEqual([]);
    expect(refusal({ ...config, linux })).toContain(why);
    const maps = namespace === 'user' ? { uidMappings: [map(0, 0, 1)], gidMappings: [map(0, 0, 1)] } : {};
    expect(
      refusal({ ...config, linux: { ...linux, ...maps, namespaces: [{ type: 'mount' }, { type: namespace }] } }),
    ).toBe('');
  });

  it.each(['kernel.hostname', 'kernel.panic', 'kernel.msgfoo', 'vm.swappiness', 'kernel.shm', 'net', 'fs.mqueue'])(
    'is the parameter %s, in whatever namespace',
    (name) => {
      const linux = { namespaces: namespaces('network', 'ipc'), sysctl: { [name]: '1' } };
      expect(refusal({ ...minimal(), linux })).toMatch(
        /linux\.sysctl\[".*"\] is (a setting of the whole machine|what hostname says)/,
      );
    },
  );
});
