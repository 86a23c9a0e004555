import { OperatingError } from '../base/errors.ts';
import { PACKAGES_MAX } from '../base/limits/sandbox.ts';

/**
 * The packages that a group adds to its system files, as names. Pure. A name becomes a word of a command that runs as root
 * in a build with network, so only what every registry calls a name is let through: no flag, address, path, range or blank.
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
/** What a name of each kind looks like. */
export const PACKAGE_NAMES: Record<keyof Packages, { pattern: RegExp; example: string }> = {
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
      if (!PACKAGE_NAMES[kind].pattern.test(name))
        throw new OperatingError('refused', `"${name}" is not an ${kind} package: give ${PACKAGE_NAMES[kind].example}`);
    }
    return names;
  };
  return { apt: list('apt'), npm: list('npm'), pip: list('pip') };
}
