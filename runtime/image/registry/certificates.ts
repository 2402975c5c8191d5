/**
 * Whom TLS trusts: the CAs of this system, and those that stand for one registry in a folder of its name. A client's own certificate lies there too, and
 * is shown to that registry only.
 * https://docs.docker.com/engine/security/certificates/ , containers-certs.d(5)
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { TareError } from '../../kernel/error.js';

export interface TlsFiles {
  readonly ca: string[];
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

const FOLDERS = ['/etc/docker/certs.d', '/etc/containers/certs.d'];

/**
 * @param host `registry.example:5000`
 * @param folder used instead of those of the system
 * @throws TareError `not-found`, `config`
 */
export function tlsFiles(host: string, folder?: string, env: NodeJS.ProcessEnv = process.env): TlsFiles {
  if (folder !== undefined && !existsSync(folder))
    throw new TareError('not-found', `the folder of certificates ${folder} does not exist`, { path: folder });
  const own = [env.XDG_CONFIG_HOME || join(env.HOME ?? '/', '.config')].map((path) => join(path, 'containers/certs.d'));
  const folders = folder !== undefined ? [folder] : [...own, ...FOLDERS].map((path) => join(path, host));
  const ca = [...systemCertificates(env)];
  let pair: { cert: Buffer; key: Buffer } | undefined;
  for (const path of folders) {
    if (!existsSync(path)) continue;
    const names = readdirSync(path).filter((name) => /\.(?:crt|cert)$/.test(name));
    if (names.length === 0 && folder !== undefined)
      throw new TareError('not-found', `the folder ${folder} has no certificate: no *.crt of a CA, no *.cert`, {
        path,
      });
    for (const name of names.sort()) {
      if (name.endsWith('.crt')) ca.push(certificatesIn(join(path, name)));
      else pair ??= pairOf(path, name);
    }
  }
  return { ca, ...pair };
}

/** What is none is left out by TLS without a word. */
function certificatesIn(path: string): string {
  const text = readFileSync(path, 'utf8');
  if (/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(text)) return text;
  throw new TareError(
    'config',
    `${path} holds no certificate in PEM: its lines begin with -----BEGIN CERTIFICATE-----`,
    {
      path,
    },
  );
}

function pairOf(folder: string, name: string): { cert: Buffer; key: Buffer } {
  const key = join(folder, name.replace(/\.cert$/, '.key'));
  if (!existsSync(key))
    throw new TareError('config', `${key} is missing: the certificate ${name} is of no use without it`, { path: key });
  return { cert: readFileSync(join(folder, name)), key: readFileSync(key) };
}

/** As the other programs of the system have them; where there is no such file, those that Node brings along. */
function systemCertificates({ SSL_CERT_FILE }: NodeJS.ProcessEnv): readonly string[] {
  const path = SSL_CERT_FILE || '/etc/ssl/certs/ca-certificates.crt';
  return existsSync(path) ? [readFileSync(path, 'utf8')] : rootCertificates;
}
