import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OperatingError } from '../../src/base/errors.ts';
import { type BubblewrapPlan, bubblewrapArgv, launchArgv, stagedSources } from '../../src/runtimes/bubblewrap_argv.ts';
import { maskedStdio } from '../../src/runtimes/descriptors.ts';
import { labelIn } from '../../src/runtimes/leftovers.ts';
import type { Bind } from '../../src/runtimes/runtime.ts';
import { checkSpec } from '../../src/runtimes/spec.ts';
import { sandboxSpec } from '../e2e/runtimes_kit.ts';

const WORKSPACE: Bind = { source: '/tmp', target: '/workspace', access: 'write' };
const INNER: Bind = { source: '/usr', target: '/workspace/skills', access: 'read' };

function planOf(change: Parameters<typeof sandboxSpec>[0] = {}, limitProcessesInside = false): BubblewrapPlan {
  const folders = [
    { source: '/roots/1/usr', target: '/usr' },
    { source: '/cache/etc-1', target: '/etc' },
  ];
  const userland = { folders, links: [['/bin', 'usr/bin']] as [string, string][] };
  return { spec: sandboxSpec(change), userland, limitProcessesInside };
}

/** The words of an option's every use. */
function uses(argv: string[], option: string, words: number): string[][] {
  return argv.flatMap((word, i) => (word === option ? [argv.slice(i + 1, i + 1 + words)] : []));
}

describe('the arguments of bubblewrap', () => {
  const plan = planOf({ binds: [INNER, WORKSPACE], env: { A: '1' } });
  const argv = bubblewrapArgv(plan, ['/s/0', '/s/1', '/s/2', '/s/3']);

  test('ask for every namespace, no capability, and the end with the parent', () => {
    for (const name of ['user', 'pid', 'ipc', 'uts', 'net']) assert.ok(argv.includes(`--unshare-${name}`), name);
    for (const word of ['--disable-userns', '--new-session', '--die-with-parent', '--clearenv'])
      assert.ok(argv.includes(word));
    assert.deepEqual(uses(argv, '--cap-drop', 1), [['ALL']]);
    assert.deepEqual(uses(argv, '--seccomp', 1), [['3']]);
    assert.deepEqual(uses(argv, '--uid', 1), [['10001']]);
  });

  test('bind the system files of the userland and the binds of the spec, and nothing else of the host', () => {
    assert.deepEqual(uses(argv, '--ro-bind', 2), [
      ['/s/0', '/usr'],
      ['/s/1', '/etc'],
      ['/s/3', '/workspace/skills'],
    ]);
    assert.deepEqual(uses(argv, '--bind', 2), [['/s/2', '/workspace']]);
    assert.ok(!argv.some((word) => /^--(dev-)?bind-try$|^--dev-bind$|^--share-net$|^--cap-add$/.test(word)));
  });

  test('mount a folder before what lies in it, and close the root last', () => {
    assert.ok(argv.indexOf('/workspace') < argv.indexOf('/workspace/skills'));
    assert.ok(argv.lastIndexOf('--remount-ro') > argv.lastIndexOf('--bind'));
    assert.deepEqual(uses(argv, '--remount-ro', 1), [['/dev'], ['/']]);
  });

  test('set exactly the environment of the spec, and the label', () => {
    assert.deepEqual(uses(argv, '--setenv', 2), [
      ['A', '1'],
      ['GLASS_LABEL', 'aaaaaaaaaa/s1'],
    ]);
    assert.equal(labelIn(argv), 'aaaaaaaaaa/s1');
  });

  test('put the program behind the handshake, and limit processes inside where no control group does', () => {
    assert.deepEqual(argv.slice(argv.indexOf('glass-start')), ['glass-start', '/bin/sh', '-c', 'true']);
    assert.deepEqual(argv.slice(argv.indexOf('--'), argv.indexOf('--') + 3), ['--', '/bin/sh', '-c']);
    const inside = bubblewrapArgv(planOf({}, true), ['/s/0', '/s/1']);
    const limited = ['glass-start', '/usr/bin/prlimit', '--nproc=40', '--', '/bin/sh', '-c', 'true'];
    assert.deepEqual(inside.slice(inside.indexOf('glass-start')), limited);
  });
});

describe('the launcher', () => {
  const launch = { parent: 7, openFiles: 256, joins: ['/c/a/cgroup.procs', '/c/b/cgroup.procs'] };

  test('stages by number as root, whatever the source is called', () => {
    const bind = { source: '/root/a b\n#\\', target: '/x', access: 'read' as const, folder: true };
    const argv = launchArgv('/l.sh', { ...launch, stage: { folder: '/run/g', uid: 12 } }, [bind], ['bwrap']);
    assert.deepEqual(argv.slice(0, 5), ['unshare', '--mount', '--propagation', 'private', '--']);
    const table = argv.at(-2)!;
    assert.equal(table, '/root/a\\040b\\012\\043\\134 /run/g/0 none rbind,ro,nosuid,nodev 0 0\n');
    assert.deepEqual(stagedSources(2, '/run/g'), ['/run/g/0', '/run/g/1']);
  });

  test('stages nothing for an ordinary user', () => {
    const argv = launchArgv('/l.sh', { ...launch, stage: null }, [], ['bwrap', 'x']);
    assert.deepEqual(argv, ['/bin/sh', '/l.sh', '7', '256', launch.joins.join(' '), '', '', '', '', '', 'bwrap', 'x']);
  });

  test('covers inherited descriptors, and refuses one that is out of reach', () => {
    assert.deepEqual(maskedStdio(['ignore', 'pipe', 'pipe', 9], [6], 8), [
      'ignore',
      'pipe',
      'pipe',
      9,
      'ignore',
      'ignore',
      8,
    ]);
    assert.throws(() => maskedStdio([], [5000], 8), OperatingError);
  });
});

describe('a spec is refused', () => {
  const refused = (change: Parameters<typeof sandboxSpec>[0], code: string, uid = 1000): void => {
    assert.throws(
      () => checkSpec(sandboxSpec(change), uid),
      (error: unknown) => error instanceof OperatingError && error.code === code,
    );
  };

  test('as root without a uid of its own, or with root’s', () => {
    refused({ uid: null }, 'refused', 0);
    refused({ uid: 0 }, 'refused', 0);
    refused({ uid: 5 }, 'refused', 1000);
    checkSpec(sandboxSpec({ uid: 5 }), 0);
    checkSpec(sandboxSpec(), 1000);
  });

  test('when a bind would replace the sandbox’s own mounts, or its path is not plain', () => {
    for (const target of ['/', '/proc/self', '/dev', '/sys/x', '/usr', '/etc', '/tmp', '/a/../etc', 'relative']) {
      refused({ binds: [{ source: '/tmp', target, access: 'write' }] }, 'refused');
    }
    checkSpec(
      sandboxSpec({ binds: [{ source: '/etc/passwd', target: '/etc/ssl/certs/ca-certificates.crt', access: 'read' }] }),
      1,
    );
  });

  test('when a source does not exist', () => {
    refused({ binds: [{ source: '/no/such/folder', target: '/x', access: 'read' }] }, 'unavailable');
  });

  test('when a name could leave its folder, or a program has no path', () => {
    refused({ session: '../x' }, 'refused');
    refused({ install: 'a b' }, 'refused');
    refused({ argv: ['sh'] }, 'refused');
    refused({ env: { 'A=B': '1' } }, 'refused');
  });

  test('when an OCI runtime is more than a plain name', () => {
    for (const name of ['', '/usr/bin/runsc', '../runsc', '--root', 'a b', 'Runsc', 'io.containerd.runc.v2'])
      refused({ oci_runtime: name }, 'refused');
    checkSpec(sandboxSpec({ oci_runtime: 'runsc-open' }), 1);
  });
});
