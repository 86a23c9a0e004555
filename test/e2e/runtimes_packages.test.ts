import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { NO_PACKAGES } from '../../src/authority/packages.ts';
import { imageId } from '../../src/runtimes/build.ts';
import { SANDBOX_IMAGE } from '../../src/runtimes/docker.ts';
import { Engine, engineSocket } from '../../src/runtimes/engine.ts';
import { buildGroupImage } from '../../src/runtimes/group_image.ts';
import { packagesTag } from '../../src/runtimes/packages.ts';
import { makeRoot, type Root } from '../../src/runtimes/roots.ts';
import { seccompArch } from '../../src/runtimes/seccomp.ts';
import { keptRoot, made, PACKAGES, ROOTS_CACHE } from '../kits/kept_root.ts';
import * as kit from './runtimes_kit.ts';

/** Real packages from real registries: what cannot be fetched here is skipped with the reason. */
const USES = 'echo {} | jq -c . && ls /usr/local/bin && ls /usr/local/lib/node_modules';

// As the host has it: what is made must be readable for sandboxes all the same.
process.umask(0o077);

const home = new kit.Home();
after(() => home.remove());

const lines: string[] = [];
const engine = new Engine(engineSocket(process.env) ?? '/no/such.sock');
const build = () => buildGroupImage(engine, 'test', SANDBOX_IMAGE, PACKAGES, (line) => lines.push(line));
const image = await made(build);
const bubblewrap = home.runtime('bubblewrap');
const problems = await bubblewrap.check();
const root = problems.length > 0 ? problems.join('; ') : await keptRoot();

describe('a group’s image', { skip: typeof image === 'string' ? image : false }, () => {
  test('has the packages, in a sandbox that is sealed as ever', async () => {
    assert.ok(typeof image !== 'string');
    assert.match(image.ref, /^sha256:[0-9a-f]{64}$/);
    assert.equal(lines.length > 0, image.built, 'a build tells what it does');
    const userland = { kind: 'image', ref: image.ref } as const;
    const { output } = await kit.ran(home.runtime('docker'), home.spec('image', USES, { userland }));
    assert.deepEqual(output.trim().split('\n'), ['{}', 'semver', 'semver']);
    const spec = home.spec('guards', kit.probeScript(seccompArch(process.arch)!), { userland });
    kit.assertGuards((await kit.ran(home.runtime('docker'), spec)).output, { uid: String(spec.uid) });
  });

  test('is built once', async () => {
    assert.deepEqual(await build(), { ...(image as object), built: false });
  });

  test('that cannot be built says why, and leaves no tag behind', async () => {
    const wrong = { ...NO_PACKAGES, apt: ['no-such-package-anywhere'] };
    await assert.rejects(
      buildGroupImage(engine, 'test', SANDBOX_IMAGE, wrong, () => {}),
      { code: 'unavailable' },
    );
    const below = await imageId(engine, SANDBOX_IMAGE);
    assert.equal(await imageId(engine, packagesTag('test', below!, wrong)), null);
    await assert.rejects(
      buildGroupImage(engine, 'test', 'no-such-image:local', NO_PACKAGES, () => {}),
      { code: 'unavailable', message: /is missing/ },
    );
  });
});

describe('a bubblewrap sandbox with a root of its own', { skip: typeof root === 'string' ? root : false }, () => {
  const userland = { kind: 'image', ref: (root as Root).ref } as const;

  test('holds every guard, as seen from inside', async () => {
    const spec = home.spec('guards', kit.probeScript(seccompArch(process.arch)!), { userland });
    const { output, exit } = await kit.ran(bubblewrap, spec);
    assert.deepEqual(exit, { code: 0, signal: null, reason: null });
    const variables = 'GLASS_LABEL HOME PATH PWD';
    kit.assertGuards(output, { uid: '10001', host: '0', variables, hosts: '2' });
  });

  test('has the root’s programs and packages, and none of the host’s', async () => {
    const { output } = await kit.ran(bubblewrap, home.spec('root', `${USES} && ls /usr/bin`, { userland }));
    const [json, ...names] = output.trim().split('\n');
    assert.equal(json, '{}');
    assert.deepEqual(names.slice(0, 2), ['semver', 'semver']);
    const host = readdirSync('/usr/bin').filter((name) => !existsSync(join((root as Root).ref, 'usr/bin', name)));
    assert.ok(host.length > 0, 'the host has programs that the root has not');
    assert.deepEqual(
      names.filter((name) => host.includes(name)),
      [],
    );
  });

  test('sees nothing of the host’s /etc, nor how the root was made', async () => {
    const script =
      'cat /etc/passwd /etc/hosts /etc/resolv.conf; ls /etc/apt /etc/shadow 2>&1; find / -xdev -perm /6000';
    const { output } = await kit.ran(bubblewrap, home.spec('etc', script, { userland }));
    assert.match(output, /^root:x:0:0:.*\nsandbox:x:10001/);
    assert.match(output, /'\/etc\/apt': No such file/);
    assert.match(output, /'\/etc\/shadow': No such file/);
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n').slice(1, 4)) assert.ok(!output.includes(line));
    assert.ok(!/^\/usr/m.test(output), 'no set-uid program');
  });

  test('is refused for a path that is no root', async () => {
    for (const ref of ['/', 'relative', '/no/such/root', home.folder, `${(root as Root).ref}/../x`]) {
      const spec = home.spec('none', 'true', { userland: { kind: 'image', ref } });
      await assert.rejects(
        bubblewrap.start(spec, () => {}),
        { code: 'unavailable' },
        ref,
      );
    }
  });

  test('is not made without the tool that makes it, and says what to install', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/no/such/folder';
    try {
      await assert.rejects(
        makeRoot(join(home.folder, 'cache'), NO_PACKAGES, () => {}),
        { code: 'unavailable', message: /^mmdebstrap failed .it is not installed/, fix: 'apt install mmdebstrap' },
      );
    } finally {
      process.env['PATH'] = path;
    }
  });

  test('is made once, and a root that cannot be made leaves nothing', async () => {
    assert.deepEqual(await makeRoot(ROOTS_CACHE, PACKAGES, () => {}), { ...(root as Root), built: false });
    await assert.rejects(
      makeRoot(join(home.folder, 'cache'), { ...NO_PACKAGES, npm: ['@glassclaw/no-such-package'] }, () => {}),
      { code: 'unavailable', message: /no-such-package/ },
    );
    assert.deepEqual(readdirSync(join(home.folder, 'cache/roots')), []);
  });
});
