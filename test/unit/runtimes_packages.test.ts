import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canonicalPackages, NO_PACKAGES, type Packages } from '../../src/authority/packages.ts';
import { packagesRecipe, packagesTag } from '../../src/runtimes/packages.ts';

const BASE = `sha256:${'a'.repeat(64)}`;

describe('packages', () => {
  const good: Packages = {
    apt: ['ffmpeg', 'g++', 'libc6=2.36-9+deb12u14', 'vim=2:9.0.1378-2'],
    npm: ['typescript', '@scope/name', '@scope/name@1.2.3', 'left-pad@1.3.0'],
    pip: ['requests', 'ruamel.yaml==0.18.6', 'Pillow==11.0.0'],
  };

  test('have names as their registries write them, with an optional version', () => {
    assert.deepEqual(canonicalPackages(good).apt, [...good.apt].sort());
    assert.equal(canonicalPackages({ ...NO_PACKAGES, apt: ['jq', 'jq', 'ed'] }).apt.join(), 'ed,jq');
  });

  test('are refused when a name is a flag, an address, a path, a range, a blank or a second command', () => {
    const hostile = ['-y', '--allow-unauthenticated', 'https://x.example/a.tgz', './a', '/a', 'a/b', '../a', 'a b', ''];
    const shell = ['a;id', 'a&&id', '$(id)', '`id`', "a'b", 'a"b', 'a\nRUN id', 'a\\', 'a|b', '>x', 'a*', '@', 'a#b'];
    const ranges = {
      apt: ['a>=1', 'a=', 'a/bookworm', 'a:i386 b'],
      npm: ['a@^1', 'a@', 'a@file:x'],
      pip: ['a>=1', 'a[x]', 'a==', 'a @ b'],
    };
    for (const kind of ['apt', 'npm', 'pip'] as const) {
      for (const name of [...hostile, ...shell, ...ranges[kind]]) {
        assert.throws(
          () => canonicalPackages({ ...NO_PACKAGES, [kind]: [name] }),
          { code: 'refused' },
          `${kind} ${JSON.stringify(name)}`,
        );
      }
    }
  });

  test('are refused when there are too many', () => {
    const many = Array.from({ length: 101 }, (_, i) => `p${i}`);
    assert.throws(() => canonicalPackages({ ...NO_PACKAGES, apt: many }), { code: 'refused' });
  });

  test('have one tag, whatever their order; another for another install, base or list', () => {
    const tag = packagesTag('ab12', BASE, good);
    assert.match(tag, /^glassclaw-packages:ab12-[0-9a-f]{24}$/);
    assert.equal(packagesTag('ab12', BASE, { ...good, apt: [...good.apt].reverse() }), tag);
    assert.notEqual(packagesTag('cd34', BASE, good), tag);
    assert.notEqual(packagesTag('ab12', `sha256:${'b'.repeat(64)}`, good), tag);
    assert.notEqual(packagesTag('ab12', BASE, { ...good, pip: [] }), tag);
    assert.notEqual(
      packagesTag('ab12', BASE, { ...NO_PACKAGES, npm: ['a'] }),
      packagesTag('ab12', BASE, { ...NO_PACKAGES, pip: ['a'] }),
    );
  });
});

describe('the recipe of a group’s image', () => {
  test('has a step for each kind that is asked for, and no other', () => {
    assert.equal(packagesRecipe(NO_PACKAGES), 'ARG BASE\nFROM $BASE\n');
    assert.equal(packagesRecipe({ ...NO_PACKAGES, npm: ['a'] }), 'ARG BASE\nFROM $BASE\nCOPY npm/ /usr/local/\n');
    const apt = packagesRecipe({ ...NO_PACKAGES, apt: ['jq'] });
    assert.match(apt, /apt-get install -y --no-install-recommends jq && rm -rf/);
    assert.match(apt, /chmod a-s/);
  });

  test('installs Python packages in a stage of its own, so that neither they as files nor pip are in the result', () => {
    const lines = packagesRecipe({ ...NO_PACKAGES, pip: ['requests'] }).split('\n');
    const result = lines.slice(lines.indexOf('FROM $BASE'));
    assert.ok(lines.some((line) => /--no-index --find-links=.* requests$/.test(line)));
    assert.ok(!result.some((line) => /wheels|python3-pip/.test(line)));
    assert.ok(result.includes('COPY --from=python /usr/local/ /usr/local/'));
  });
});
