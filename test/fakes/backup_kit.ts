import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { type Paths, pathsOf, prepareHome } from '../../src/base/paths.ts';
import { Audit } from '../../src/gateway/audit.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { createBackup } from '../../src/operations/backup/create.ts';
import type { Manifest } from '../../src/operations/backup/manifest.ts';
import { shelfOf } from '../../src/operations/backup/shelf.ts';
import { fileKeySource, PLAIN } from '../../src/vault/key_file.ts';
import { Vault } from '../../src/vault/vault.ts';
import { temporaryFolder } from './ledger_kit.ts';

/** An install that does not run, of the real databases, and its backup. */
export async function installIn(home: string): Promise<Paths> {
  const paths = pathsOf(home, process.env);
  prepareHome(paths);
  writeFileSync(paths.config, 'runtime: bubblewrap\n');
  const ledger = await Ledger.open(paths.ledger, noFaults);
  ledger.close();
  const vault = await Vault.unlock(paths.vault, fileKeySource(paths.vaultKey, PLAIN), systemClock, noFaults);
  vault.set('anthropic', Buffer.from('fake-secret-value'));
  vault.close();
  new Audit(paths.audit, systemClock, noFaults).close();
  const group = paths.group('assistant');
  mkdirSync(group.workspace, { recursive: true });
  writeFileSync(group.yaml, 'harness: probe\n');
  writeFileSync(join(group.workspace, 'note'), 'of the agent');
  return paths;
}

/** Its backup, on its own shelf. */
export const made = async (context: TestContext): Promise<{ paths: Paths; folder: string; manifest: Manifest }> => {
  const paths = await installIn(join(temporaryFolder(context), 'home'));
  const shelf = shelfOf(paths);
  mkdirSync(shelf, { mode: 0o700 });
  return { paths, ...(await createBackup({ paths, shelf, withKey: false, tell: () => {} })) };
};
