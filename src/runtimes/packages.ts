import { createHash } from 'node:crypto';
import { canonicalPackages, type Packages } from '../authority/packages.ts';

/** From the packages of a group to a tag and a recipe of its image. Pure: nothing is fetched. */

/** The same for the same base and packages, in whatever order they were given. */
export function packagesHash(base: string, packages: Packages): string {
  const text = JSON.stringify([base, canonicalPackages(packages)]);
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

/** Begins the names of an install's images: of two that need the same, each has a name for it, and takes away only its own. */
export function packagesPrefix(install: string): string {
  return `glassclaw-packages:${install}-`;
}

/** The name under which an engine keeps the image. `base` is the id of the image below it. */
export function packagesTag(install: string, base: string, packages: Packages): string {
  return packagesPrefix(install) + packagesHash(base, packages);
}

/** What Python packages need to run, and what installs them. */
export const PYTHON = 'python3';
export const PIP_INSTALLER = 'python3-pip';

/** Installs what `fetchWheels` fetched, without network. Debian's Python refuses to be added to unless it is told so. */
export function pipInstall(names: string[], wheels: string): string {
  const options = '--no-cache-dir --no-input --break-system-packages --no-index';
  return `pip install ${options} --find-links=${wheels} ${names.join(' ')}`;
}

/**
 * The recipe of a group's image. Its context holds what the host's own tools fetched: `npm/`, installed, and `wheels/`,
 * which a stage of its own installs, so that neither they nor pip are in the result.
 */
export function packagesRecipe(packages: Packages): string {
  const { apt, npm, pip } = canonicalPackages(packages);
  const system = [...apt, ...(pip.length > 0 ? [PYTHON] : [])];
  const lines: string[] = ['ARG BASE'];
  if (pip.length > 0) {
    lines.push(
      ...['FROM $BASE AS python', `RUN ${aptInstall([PIP_INSTALLER])}`],
      ...['COPY wheels/ /tmp/wheels/', `RUN ${pipInstall(pip, '/tmp/wheels')}`],
    );
  }
  lines.push('FROM $BASE');
  if (system.length > 0) lines.push(`RUN ${aptInstall(system)}`);
  if (pip.length > 0) lines.push('COPY --from=python /usr/local/ /usr/local/');
  if (npm.length > 0) lines.push('COPY npm/ /usr/local/');
  if (system.length > 0) lines.push('RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +');
  return `${lines.join('\n')}\n`;
}

function aptInstall(names: string[]): string {
  const install = `apt-get install -y --no-install-recommends ${names.join(' ')}`;
  return `apt-get update && DEBIAN_FRONTEND=noninteractive ${install} && rm -rf /var/lib/apt/lists/*`;
}
