import type { VaultConfig } from '../base/config.ts';
import type { Paths } from '../base/paths.ts';
import { azureWrapping } from './key_azure.ts';
import { fileKeySource, PLAIN } from './key_file.ts';
import { keyringSource } from './key_keyring.ts';
import type { KeySource } from './key_source.ts';
import { systemdKeySource } from './key_systemd.ts';

/** The source of the key that `glass.yaml` names. */
export function keySourceOf(config: VaultConfig, paths: Paths, env: NodeJS.ProcessEnv): KeySource {
  switch (config.key) {
    case 'file':
      return fileKeySource(paths.vaultKey, PLAIN);
    case 'systemd':
      return systemdKeySource(env['CREDENTIALS_DIRECTORY'], config.credential);
    case 'keyring':
      return keyringSource(paths.install, env);
    case 'azure':
      return fileKeySource(`${paths.vaultKey}.azure`, azureWrapping(config, env));
  }
}
