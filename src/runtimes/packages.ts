import { createHash } from 'node:crypto';
import { OperatingError } from '../base/errors.ts';
import { PACKAGES_MAX } from '../base/limits.ts';

/**
 * The packages that a group adds to its system files, as data. Pure: names are checked, put in order and turned into a
 * tag and a recipe here; nothing is fetched. A name becomes a word of a command that runs as root in a build with
 * network, so only what every registry calls a name is let through: no flag, address, path, range or blank.
 */

export interface Packages {
  /** Debian packages: `ffmpeg`, `ffmpeg=7:5.1.6-0+deb12u1`. */
  apt: string[];
  /** npm packages, installed without their scripts: `@scope/name`, `name@1.2.3`. */
  npm: string[];
  /** Python packages, as wheels only: `requests`, `requests==2.32.3`. */
  pip: string[];
}

export const NO_PACKAGES: Packages = { apt: [], npm: [], pip: [] };

const APT = /^[a-z0-9][a-z0-9+.-]{1,100}(=[A-Za-z0-9][A-Za-z0-9.+:~-]{0,100})?$/;
const NPM = /^(@[a-z0-9][a-z0-9._-]{0,100}\/)?[a-z0-9][a-z0-9._-]{0,100}(@[A-Za-z0-9][A-Za-z0-9.+-]{0,100})?$/;
const PIP = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,100}[A-Za-z0-9])?(==[A-Za-z0-9][A-Za-z0-9.+!-]{0,100})?$/;
const RULES: Record<keyof Packages, { pattern: RegExp; example: string }> = {
  apt: { pattern: APT, example: 'name or name=version' },
  npm: { pattern: NPM, example: 'name, @scope/name or name@version' },
  pip: { pattern: PIP, example: 'name or name==version' },
};

/** Each list sorted, without repetition. Throws `OperatingError('refused')` with the name and the rule. */
export function canonicalPackages(given: Packages): Packages {
  const list = (kind: keyof Packages): string[] => {
    const names = [...new Set(given[kind])].sort();
    if (names.length > PACKAGES_MAX)
      throw new OperatingError('refused', `${names.length} ${kind} packages are more than ${PACKAGES_MAX}`);
    for (const name of names) {
      if (!RULES[kind].pattern.test(name))
        throw new OperatingError('refused', `"${name}" is not an ${kind} package: give ${RULES[kind].example}`);
    }
    return names;
  };
  return { apt: list('apt'), npm: list('npm'), pip: list('pip') };
}

/** The same for the same base and packages, in whatever order they were given. */
export function packagesHash(base: string, packages: Packages): string {
  const text = JSON.stringify([base, canonicalPackages(packages)]);
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

/** The name under which an engine keeps the image. `base` is the id of the image below it. */
export function packagesTag(base: string, packages: Packages): string {
  return `glassclaw-packages:${packagesHash(base, packages)}`;
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
