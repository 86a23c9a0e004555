import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import { PYTHON_VERSION } from './debian.ts';
import { type OnProgress, runTool } from './tool.ts';

/**
 * Packages of npm and pip, fetched on the host by the host's own tools with the operator's own settings: no registry's
 * address, token or certificate authority comes near an image, and the host runs no code of a package.
 */

/**
 * Installs npm packages into `folder` as they are to be in `/usr/local`. Rejects with `OperatingError('unavailable')` when
 * npm is missing or fails.
 */
export async function installNpm(names: string[], folder: string, onProgress: OnProgress): Promise<void> {
  const npm = process.env['GLASS_NPM'] ?? 'npm';
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--libc=glibc', '--loglevel=error'];
  mkdirSync(folder, { recursive: true });
  await runTool(
    [npm, 'install', '--global', '--prefix', folder, ...options, '--', ...names],
    'install npm',
    onProgress,
  );
  if (!existsSync(join(folder, 'lib/node_modules')))
    throw new OperatingError('unavailable', `npm installed nothing of ${names.join(', ')}`);
}

/** What Debian's glibc takes; pip tries them in this order. */
const WHEELS: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64' };
const MANYLINUX = ['manylinux_2_34', 'manylinux_2_28', 'manylinux_2_17', 'manylinux2014'];

/**
 * Downloads Python packages and what they need to `folder`, as wheels for the Python of the image: a source package would
 * run code of its own. Rejects with `OperatingError('unavailable')` when pip is missing or fails.
 */
export async function fetchWheels(names: string[], folder: string, onProgress: OnProgress): Promise<void> {
  const platforms = MANYLINUX.map((platform) => `--platform=${platform}_${WHEELS[process.arch] ?? process.arch}`);
  const options = ['--only-binary=:all:', '--no-input', '--disable-pip-version-check', ...platforms];
  const python = `--python-version=${PYTHON_VERSION}`;
  mkdirSync(folder, { recursive: true });
  await runTool(['pip', 'download', '-d', folder, python, ...options, '--', ...names], 'install pip', onProgress);
}
