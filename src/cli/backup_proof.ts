import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, messageOf, OperatingError } from '../base/errors.ts';
import { randomToken } from '../base/ids.ts';
import { TRIAL_PROCESS_MS } from '../base/limits/backups.ts';
import type { Paths } from '../base/paths.ts';
import { VERSION } from '../base/version.ts';
import { keyOf } from '../operations/backup/create.ts';
import type { Proof } from '../operations/backup/manifest.ts';
import { TRIAL_HOME } from '../operations/backup/names.ts';
import { forgetPlaces } from '../operations/backup/places.ts';
import { unpack, verifyBackup } from '../operations/backup/restore.ts';
import { removeHome, shelfOf } from '../operations/backup/shelf.ts';
import { lossesOf } from '../operations/upgrade/databases.ts';
import type { Tried } from './trial.ts';

/**
 * A backup counts when a restore of it has answered. It is put into a home of its own below `backups/`, which goes at the end, and this
 * checkout is tried out there: nothing that waits in it runs, and nothing leaves. Never rejects: what goes wrong is the proof's sentence.
 */
export async function prove(folder: string, paths: Paths, tell: (text: string) => void): Promise<Proof> {
  const home = join(shelfOf(paths), `${TRIAL_HOME}${randomToken(9)}`);
  let says: string;
  let ok = false;
  try {
    const manifest = await verifyBackup(folder, paths.root, tell);
    mkdirSync(shelfOf(paths), { recursive: true, mode: 0o700 });
    tell('putting it back into a home of its own');
    await unpack(folder, manifest, home, manifest.key === null ? null : keyFile(paths));
    tell('trying whether it answers');
    const tried = await tryOut(home, paths);
    if (tried.events < manifest.counts.events || tried.secrets !== manifest.counts.secrets)
      throw new Error(`it has ${tried.events} events and ${tried.secrets} secrets, and should have more`);
    const lost = lossesOf(home, folder);
    if (lost.length > 0) throw new Error(`${tried.version} answers, and has lost ${lost.join(', ')}`);
    says = `${tried.message} was answered by GlassClaw ${tried.version}; ${tried.secrets} secrets open; ${tried.record}`;
    ok = true;
  } catch (error) {
    says = error instanceof OperatingError ? describeError(error) : messageOf(error);
  }
  await removeHome(home).catch(() => {}); // The next run's sweep finds it.
  forgetPlaces(home);
  return { at: new Date().toISOString(), ok, says: says.slice(0, 2000), version: VERSION };
}

/** Null: the vault is opened by what lies in no file. */
function keyFile(paths: Paths): string | null {
  const { file, where } = keyOf(paths);
  const path = file === null ? null : join(paths.gatewayHome, file);
  if (path !== null && !existsSync(path)) throw new OperatingError('not_found', `${where} is not there`);
  return path;
}

/** As `glass up --trial` is typed. Rejects with what it says. */
function tryOut(home: string, { root }: Paths): Promise<Tried> {
  const child = spawn(process.execPath, [join(root, 'src/cli/main.ts'), 'up', '--trial', '--json'], {
    // It ends with us: its standard input is our pipe.
    env: { ...process.env, GLASS_HOME: home, GLASS_TRIAL: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: TRIAL_PROCESS_MS,
  });
  const [out, err]: [string[], string[]] = [[], []];
  child.stdout.setEncoding('utf8').on('data', (part: string) => out.push(part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => err.push(part));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      try {
        if (code === 0) return resolve(JSON.parse(out.join('')) as Tried);
        const { error } = JSON.parse(err.join('')) as { error: { message: string; fix?: string } };
        reject(new OperatingError('unavailable', error.message, error.fix));
      } catch {
        reject(new OperatingError('unavailable', err.join('').slice(0, 500) || `its trial ended with code ${code}`));
      }
    });
  });
}
