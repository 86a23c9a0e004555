import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { checkedKey, type KeySource, type Slot } from './key_source.ts';

/**
 * A credential of the gateway's systemd unit: 32 random bytes, decrypted by systemd into a folder that only the unit sees. Nothing
 * can be written there, so that a rotation needs the next key as a second credential, `<name>.next`.
 */
export function systemdKeySource(folder: string | undefined, credential: string): KeySource {
  const names: Record<Slot, string> = { current: credential, next: `${credential}.next` };
  const name = `the systemd credential ${credential}`;
  return {
    name,
    read: async (slot) => {
      if (folder === undefined) {
        const what = `${name} cannot be read: CREDENTIALS_DIRECTORY is not set`;
        throw new OperatingError(
          'config',
          what,
          `start the gateway by a unit with LoadCredentialEncrypted=${credential}`,
        );
      }
      return read(join(folder, names[slot]));
    },
    make: async (slot) => {
      throw new OperatingError(
        'config',
        `there is no systemd credential ${names[slot]}`,
        `head -c 32 /dev/urandom | systemd-creds encrypt --name=${names[slot]} - /etc/credstore.encrypted/${names[slot]}, then glass service install`,
      );
    },
    settle: async () => `give the unit the next key under the name ${credential}, and take ${credential}.next away`,
  };
}

/** systemd hands it out as root's, readable by the unit's user through an access list; others must not be able to. */
function read(path: string): Buffer | null {
  try {
    const stat = statSync(path);
    const ours = stat.uid === 0 || stat.uid === process.getuid?.();
    if (!stat.isFile() || !ours || (stat.mode & 0o007) !== 0)
      throw new OperatingError('config', `${path} is no credential of this unit`, 'start the gateway by its unit');
    return checkedKey(readFileSync(path), path);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    if (error instanceof OperatingError) throw error;
    throw new OperatingError('config', `${path} cannot be read (${systemCodeOf(error)})`, undefined, error);
  }
}
