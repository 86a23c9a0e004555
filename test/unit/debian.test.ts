import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packageSources } from '../../src/runtimes/debian.ts';

const LIST = '/etc/apt/sources.list';
const STANZAS = '/etc/apt/sources.list.d/debian.sources';
/** None: mmdebstrap's own default is Debian's archive. */
const OWN: string[] = [];

const MIRROR = 'deb [signed-by=/etc/apt/keyrings/a.gpg arch=amd64] https://mirror.example/debian bookworm main\n';
const SECURITY = 'deb http://security.example/debian-security bookworm-security main\n';
const DEBIAN_12 =
  'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n';
const DEBIAN_13 = DEBIAN_12.replaceAll('bookworm', 'trixie');
const BOTH = `${DEBIAN_12}\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n trixie\n`;

const ROWS: [what: string, files: Record<string, string>, sources: string[]][] = [
  ['a mirror of the suite', { [LIST]: MIRROR + SECURITY }, [LIST]],
  ['Debian 12 as it is installed', { [LIST]: '# See debian.sources\n', [STANZAS]: DEBIAN_12 }, [STANZAS]],
  ['both files of the suite', { [LIST]: SECURITY, [STANZAS]: DEBIAN_12 }, [LIST, STANZAS]],
  ['no file', {}, OWN],
  ['Debian 13', { [STANZAS]: DEBIAN_13 }, OWN],
  ['an old list beside another release', { [LIST]: '# deb http://a bookworm main\n', [STANZAS]: DEBIAN_13 }, OWN],
  ['two releases in one file', { [STANZAS]: BOTH }, OWN],
  ['two releases in one list', { [LIST]: `${MIRROR}deb http://mirror.example/debian sid main\n` }, OWN],
  ['Ubuntu, before 24.04', { [LIST]: 'deb http://ubuntu.example/ubuntu jammy main\n' }, OWN],
  ['Ubuntu 24.04', { [LIST]: '# Ubuntu sources have moved to ubuntu.sources\n' }, OWN],
  ['source packages only', { [LIST]: MIRROR.replace('deb ', 'deb-src ') }, OWN],
  ['security updates only', { [LIST]: SECURITY }, OWN],
  ['a name that begins alike', { [LIST]: MIRROR + MIRROR.replace('bookworm', 'bookworms') }, OWN],
];

for (const [what, files, sources] of ROWS)
  test(`packages of Debian 12 come from the right place on a host with ${what}`, () => {
    assert.deepEqual(packageSources(new Map(Object.entries(files)), true), sources);
    if (sources === OWN)
      assert.throws(() => packageSources(new Map(Object.entries(files)), false), {
        code: 'unavailable',
        message: /not of Debian bookworm, and the keys/,
        fix: 'apt install debian-archive-keyring',
      });
  });
