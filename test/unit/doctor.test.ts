import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseInstall } from '../../src/base/config.ts';
import { pathsOf, ROOT } from '../../src/base/paths.ts';
import {
  homeFindings,
  limitFinding,
  rootedGroups,
  runtimeFinding,
  subordinateFindings,
} from '../../src/operations/doctor.ts';
import { type Machine, OWN_BWRAP } from '../../src/operations/machine.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** An ordinary account on a machine where everything is as it should be. */
const GOOD: Machine = {
  uid: 1000,
  user: 'ann',
  apparmor_restricts: null,
  userns_clone: null,
  max_user_namespaces: 60_000,
  own_bwrap: false,
  apparmor_profile: false,
  subordinate_ids: true,
  uidmap: true,
  loop_devices: true,
  free_bytes: 10 ** 12,
  home: { uid: 1000, gid: 1000, mode: 0o700 },
};
const BLOCKED = ['bubblewrap may not make user namespaces: …'];

const NAMESPACES: [name: string, machine: Partial<Machine>, fix: RegExp][] = [
  ['a kernel that has them switched off', { userns_clone: false }, /sysctl -w kernel\.unprivileged_userns_clone=1/],
  ['a kernel that allows none', { max_user_namespaces: 0 }, /sysctl -w user\.max_user_namespaces/],
  ['Ubuntu 24.04', { apparmor_restricts: true }, /install -D -m 755 \/usr\/bin\/bwrap.*apparmor_parser -r/],
  [
    'Ubuntu 24.04 with our copy',
    { apparmor_restricts: true, own_bwrap: true },
    /^sudo install -m 644 deploy\/apparmor/,
  ],
  ['a container', {}, /inside a container/],
];

for (const [name, machine, fix] of NAMESPACES)
  test(`user namespaces refused by ${name}: the exact fix is named`, () => {
    const finding = runtimeFinding('bubblewrap', BLOCKED, { ...GOOD, ...machine });
    assert.equal(finding.state, 'problem');
    assert.match(finding.fix!, fix);
  });

test('a machine where all is well has nothing to mend', () => {
  const findings = [
    ...homeFindings('/srv/home', GOOD),
    runtimeFinding('bubblewrap', [], GOOD),
    limitFinding({ name: 'pids', state: 'enforced', reason: 'x' }, GOOD),
    ...subordinateFindings('podman', [], GOOD),
  ];
  assert.deepEqual(
    findings.map((finding) => [finding.state, finding.fix]),
    Array(4).fill(['well', null]),
  );
});

const HOMES: [name: string, machine: Partial<Machine>, state: string, says: RegExp][] = [
  ['somebody else’s', { home: { uid: 7, gid: 7, mode: 0o700 } }, 'problem', /belongs to uid 7/],
  ['open to others', { home: { uid: 1000, gid: 1000, mode: 0o755 } }, 'weak', /other accounts may look/],
  ['on a full disk', { free_bytes: 5 * 2 ** 20 }, 'weak', /5\.2 MB are free/],
];

for (const [name, machine, state, says] of HOMES)
  test(`a home that is ${name} is found`, () => {
    const [finding] = homeFindings('/srv/home', { ...GOOD, ...machine });
    assert.equal(finding!.state, state);
    assert.match(finding!.says, says);
    assert.ok(finding!.fix);
  });

test('a limit that does not hold is weak, with a fix for root and another for an ordinary account', () => {
  const absent = { name: 'memory_bytes', state: 'absent', reason: 'not delegated' } as const;
  assert.match(limitFinding(absent, GOOD).fix!, /systemd-run --user/);
  assert.match(limitFinding(absent, { ...GOOD, uid: 0 }).fix!, /control groups/);
});

test('rootless podman without subordinate ids is found, and only there', () => {
  const without = { ...GOOD, subordinate_ids: false };
  assert.match(subordinateFindings('podman', [], without)[0]!.fix!, /usermod --add-subuids .* ann$/);
  assert.deepEqual(subordinateFindings('podman', [], { ...without, uid: 0 }), []);
  assert.deepEqual(subordinateFindings('bubblewrap', [], without), []);
});

test('a group of bubblewrap’s that has a root made for it needs subordinate ids and what maps them', (context) => {
  const [found, ...more] = subordinateFindings('bubblewrap', ['data', 'web'], { ...GOOD, subordinate_ids: false });
  assert.match(found!.says, /no ranges .* programs of data, web are made with them/);
  assert.deepEqual(more, []);
  const unmapped = subordinateFindings('bubblewrap', ['data'], { ...GOOD, uidmap: false });
  assert.deepEqual(
    unmapped.map(({ state, fix }) => [state, fix]),
    [['problem', 'sudo apt install uidmap']],
  );
  assert.deepEqual(subordinateFindings('bubblewrap', ['data'], { ...GOOD, uid: 0, uidmap: false }), []);
  const home = temporaryFolder(context);
  const paths = pathsOf(home, { XDG_RUNTIME_DIR: home });
  const files = {
    ...{ plain: '{}\n', rooted: 'userland: image\n', packed: 'packages: {apt: [jq]}\n', broken: 'no such key: 1\n' },
    ...{ contained: 'runtime: docker\n' },
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(paths.group(name).folder, { recursive: true });
    writeFileSync(paths.group(name).yaml, text);
  }
  assert.deepEqual(rootedGroups(paths, parseInstall('{}\n', 'glass.yaml')), ['packed', 'rooted']);
});

test('the profile that is shipped is for the path that is preferred', () => {
  const profile = readFileSync(join(ROOT, 'deploy/apparmor/glassclaw-bwrap'), 'utf8');
  assert.ok(profile.includes(`profile glassclaw-bwrap ${OWN_BWRAP} `));
  assert.match(profile, /\n {2}userns,\n/);
});
