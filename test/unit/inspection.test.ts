import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { INSPECTION_OUTPUT_BYTES_MAX } from '../../src/base/limits/sandbox.ts';
import { accountWords } from '../../src/cli/words.ts';
import { absentFolders, declaredOf, type HostFacts, isGeneratedEtc } from '../../src/evidence/inspection/declared.ts';
import { derive, type Observation } from '../../src/evidence/inspection/derive.ts';
import type { Inspection } from '../../src/evidence/inspection/inspection.ts';
import { type JudgeInput, judge } from '../../src/evidence/inspection/judge.ts';
import { compareMounts, deviceAt, ownMounts, parseMounts } from '../../src/evidence/inspection/mounts.ts';
import { ObservationReader } from '../../src/evidence/inspection/observe.ts';
import { GVISOR } from '../../src/evidence/inspection/probes/gvisor.ts';
import { allProbes } from '../../src/evidence/inspection/probes/list.ts';
import { expectationOf, type Probe, type Profile } from '../../src/evidence/inspection/probes/probe.ts';
import { renderInspection } from '../../src/evidence/inspection/report.ts';
import { shownOf } from '../../src/evidence/inspection/shown.ts';
import { EGRESS_FOLDER } from '../../src/protocol/proxy.ts';
import type { Bind } from '../../src/runtimes/runtime.ts';
import { sandboxSpec } from '../e2e/runtimes_kit.ts';

const HOST: HostFacts = {
  uid: 1000,
  gid: 1000,
  groups: [27],
  kernel: '6.1',
  namespaces: { pid: 'pid:[1]' },
  devices: { '/data/w': '8:1', '/data/n': '8:1' },
  userland: { folders: ['/usr'], links: [['/bin', 'usr/bin']] },
};
const WORKSPACE: Bind = { source: '/data/w', target: '/workspace', access: 'write' };
const NOTES: Bind = { source: '/data/n', target: '/notes', access: 'read' };
const declared = declaredOf(
  sandboxSpec({ binds: [WORKSPACE, NOTES] }),
  2 ** 30,
  { runtime: 'bubblewrap', profile: 'bubblewrap' },
  HOST,
);

const PROBE: Probe = {
  id: 'p',
  group: 'network',
  what: 'reach it',
  reads: 'dial.p',
  expect: { one_of: ['ENOENT'] },
  depth: 'quick',
};

function judged(probe: Probe, seen: Record<string, Observation>, change: Partial<JudgeInput> = {}) {
  const observations = new Map(Object.entries(seen));
  const input: JudgeInput = {
    probes: [probe],
    profile: 'bubblewrap',
    depth: 'quick',
    facts: declared.facts,
    observations,
    absent: [],
    ...change,
  };
  return judge(input)[0]!;
}

function seenAs(entries: Record<string, string>): Map<string, Observation> {
  return derive(new Map(Object.entries(entries).map(([key, value]) => [key, { value }])), declared) as Map<
    string,
    Observation
  >;
}

describe('a probe', () => {
  test('passes only with an accepted answer, and fails without any', () => {
    assert.equal(judged(PROBE, { 'dial.p': { value: 'ENOENT' } }).state, 'passed');
    assert.equal(judged(PROBE, { 'dial.p': { value: 'ok' } }).state, 'failed');
    assert.deepEqual([judged(PROBE, {}).state, judged(PROBE, {}).seen], ['failed', 'the observer said nothing']);
  });

  test('fails when its positive control failed, is missing, or was forged as a refusal', () => {
    const probe = { ...PROBE, control: 'control.p' };
    const refused = { 'dial.p': { value: 'ENOENT' } };
    assert.equal(judged(probe, { ...refused, 'control.p': { value: 'ok' } }).state, 'passed');
    assert.equal(judged(probe, { ...refused, 'control.p': { value: 'ECONNREFUSED' } }).state, 'failed');
    assert.equal(judged(probe, refused).state, 'failed');
    assert.equal(judged(probe, { ...refused, 'control.p': { not_run: 'no canary' } }).state, 'not_run');
  });

  test('is never passed when it could not be tried, is not built, or its limit is absent here', () => {
    assert.equal(judged(PROBE, { 'dial.p': { not_run: 'no perl' } }).state, 'not_run');
    assert.equal(
      judged({ ...PROBE, expect: { not_built: 'later' } }, { 'dial.p': { value: 'ENOENT' } }).state,
      'not_built',
    );
    const limited = { ...PROBE, limit: 'pids' };
    assert.equal(judged(limited, { 'dial.p': { value: 'ENOENT' } }, { absent: ['pids'] }).state, 'not_run');
    assert.equal(judged({ ...PROBE, depth: 'full' }, {}).state, 'not_run');
    assert.equal(judged({ ...PROBE, depth: 'full' }, {}, { depth: 'full' }).state, 'failed');
  });

  test('compares with what the spec declares, and with another answer under another runtime', () => {
    const uid: Probe = { ...PROBE, expect: { fact: 'uids' }, except: { docker: { one_of: ['x'] } } };
    assert.equal(judged(uid, { 'dial.p': { value: '10001 10001 10001 10001' } }).state, 'passed');
    assert.equal(
      judged(uid, { 'dial.p': { value: '10001 10001 10001 10001' } }, { profile: 'docker' }).state,
      'failed',
    );
  });
});

describe('the list of probes', () => {
  const ends = { loopback_port: 1, abstract: 'a', address: '192.0.2.2' };

  test('fails as a whole against an observer that says nothing, in every profile and on both architectures', () => {
    for (const profile of ['bubblewrap', 'docker', 'podman', 'gvisor'] as Profile[]) {
      for (const arch of ['x64', 'arm64'] as const) {
        const probes = allProbes(arch, ends);
        assert.equal(new Set(probes.map(({ id }) => id)).size, probes.length);
        const input = {
          probes,
          profile,
          depth: 'full',
          facts: declared.facts,
          observations: new Map(),
          absent: [],
        } as const;
        const results = judge(input);
        assert.ok(results.every(({ state }) => state !== 'passed'));
        assert.ok(results.filter(({ state }) => state === 'failed').length >= 100, profile);
      }
    }
  });
});

describe('what is right under gVisor', () => {
  const probes = allProbes('x64', { loopback_port: 1, abstract: 'a', address: '192.0.2.2' });

  test('is said of probes that exist, and leaves what is right under the others alone', () => {
    const ids = probes.map(({ id }) => id);
    assert.deepEqual(
      Object.keys(GVISOR).filter((id) => !ids.includes(id)),
      [],
    );
    for (const probe of probes.filter(({ id }) => id.startsWith('touch./'))) {
      const dev = probe.id === 'touch./dev';
      assert.deepEqual(expectationOf(probe, 'bubblewrap'), { one_of: ['EROFS'] });
      assert.deepEqual(expectationOf(probe, 'docker'), { one_of: [dev ? 'EPERM' : 'EROFS'] });
    }
  });

  test('never takes the success of an attempt for a guard', () => {
    const attempts = /^(call|open|touch|dial|set)\.(?!declared)|^exhaust\./;
    for (const probe of probes.filter(({ id }) => attempts.test(id))) {
      const expectation = expectationOf(probe, 'gvisor');
      if ('one_of' in expectation)
        assert.ok(!expectation.one_of.some((answer) => ['ok', 'none'].includes(answer)), probe.id);
    }
  });

  test('may be read from another observation than the one from inside', () => {
    const probe: Probe = { ...PROBE, except: { gvisor: { reads: 'host.p', one_of: ['own'] } } };
    const seen = { 'dial.p': { value: 'own' }, 'host.p': { value: 'the host’s' } };
    assert.deepEqual(judged(probe, seen, { profile: 'gvisor' }).seen, 'the host’s');
    assert.equal(judged(probe, seen, { profile: 'gvisor' }).state, 'failed');
  });
});

describe('the reader of observations', () => {
  const line = (fields: object): string => `${JSON.stringify({ nonce: 'n', ...fields })}\n`;

  test('takes only valid lines with the nonce, in any pieces', () => {
    const reader = new ObservationReader('n');
    const text = `hello\n${line({ key: 'a', value: 'ü' })}${line({ key: 'b', value: '1', nonce: 'm' })}${line({ key: 'c', value: 1 })}${line({ key: 'host.uid', value: '0' })}${line({ key: 'd', not_run: 'no perl' })}`;
    for (const byte of Buffer.from(text)) reader.read(Buffer.of(byte));
    assert.deepEqual(
      [...reader.seen],
      [
        ['a', { value: 'ü' }],
        ['d', { not_run: 'no perl' }],
      ],
    );
    assert.match(reader.other, /^hello\n/);
  });

  test('takes nothing for an answer that is said twice', () => {
    const reader = new ObservationReader('n');
    reader.read(Buffer.from(line({ key: 'a', value: 'ok' }) + line({ key: 'a', value: 'EPERM' })));
    assert.deepEqual(reader.seen.get('a'), { value: 'said twice' });
  });

  test('stops listening to a flood', () => {
    const reader = new ObservationReader('n');
    reader.read(Buffer.alloc(INSPECTION_OUTPUT_BYTES_MAX, 'x'));
    assert.ok(!reader.overfull);
    reader.read(Buffer.from(`\n${line({ key: 'a', value: 'ok' })}`));
    assert.ok(reader.overfull);
    assert.equal(reader.seen.size, 0);
  });
});

describe('what follows from observations', () => {
  test('a namespace is the own one only with an identifier that is not the host’s', () => {
    assert.deepEqual(seenAs({ 'namespace.pid': 'pid:[2]' }).get('namespace.pid'), { value: 'own' });
    assert.deepEqual(seenAs({ 'namespace.pid': 'pid:[1]' }).get('namespace.pid'), { value: 'the host’s' });
    assert.deepEqual(seenAs({ 'namespace.pid': 'ENOENT' }).get('namespace.pid'), { value: 'ENOENT' });
  });

  test('lists are compared as sets, and what is missing stays missing', () => {
    const seen = seenAs({
      'list./etc': 'passwd\nshadow\nalternatives/awk',
      'list./dev': 'null\nsda',
      'status.Groups': '10001 27',
    });
    assert.deepEqual(seen.get('etc.extra'), { value: 'shadow' });
    assert.deepEqual(seen.get('dev.extra'), { value: 'sda' });
    assert.deepEqual(seen.get('groups.foreign'), { value: '27' });
    assert.deepEqual(seen.get('read.declared'), { value: 'read./notes\nread./workspace' });
    assert.equal(seenAs({}).get('etc.extra'), undefined);
    assert.ok(isGeneratedEtc('hosts') && !isGeneratedEtc('alternatives/a/b') && !isGeneratedEtc('ssh/ssh_config'));
  });

  test('an image is the declared one by its id, where a group of an engine names one', () => {
    const seen = (ref: string, id: string, runtime: 'docker' | 'podman' | 'bubblewrap' = 'docker') => {
      const spec = sandboxSpec({ userland: { kind: 'image', ref } });
      const declared = declaredOf(spec, 0, { runtime, profile: runtime }, HOST);
      return derive(new Map([['host.image', { value: id }]]), declared).get('host.image');
    };
    assert.deepEqual(seen('sha256:ab', 'sha256:ab'), { value: 'as declared' });
    assert.deepEqual(seen('sha256:ab', 'ab', 'podman'), { value: 'as declared' });
    assert.deepEqual(seen('sha256:ab', 'sha256:cd'), { value: 'sha256:cd' });
    assert.ok('not_run' in seen('/cache/root', 'none', 'bubblewrap')!);
    assert.ok('not_run' in seenAs({ 'host.image': 'sha256:ab' }).get('host.image')!);
  });

  test('swap is closed where memory and both together have one limit, or swap has none of its own', () => {
    const seen = (value: string) => seenAs({ 'host.swap': value }).get('host.swap');
    for (const closed of ['0', declared.facts.memory_bytes]) assert.deepEqual(seen(closed), { value: 'closed' });
    for (const open of ['max', '9223372036854771712', 'unknown']) assert.deepEqual(seen(open), { value: open });
    assert.ok('not_run' in seen('none')!);
  });

  test('a socket that is not the inspection’s own is a foreign one', () => {
    const own = `/run/glass/inspect.sock\n${EGRESS_FOLDER}/inspect.sock`;
    assert.deepEqual(seenAs({ sockets: own }).get('sockets.foreign'), { value: 'none' });
    const others = `${own}\n/run/glass/s2/hatch.sock`;
    assert.deepEqual(seenAs({ sockets: others }).get('sockets.foreign'), { value: '/run/glass/s2/hatch.sock' });
  });

  test('folders beside the declared ones must not be there, but for shared and system ones', () => {
    const binds = [WORKSPACE, { ...WORKSPACE, source: '/tmp/x' }, { ...WORKSPACE, source: '/usr/share/x' }];
    assert.deepEqual(absentFolders(sandboxSpec({ binds }), ['/usr']), ['/data']);
  });
});

test('the declared side has each mount, the names of variables, and the sockets by where they are mounted', () => {
  const run: Bind = { source: '/run/x/s1', target: '/run/glass', access: 'read' };
  const env = { TZ: 'UTC', HOME: '/state' };
  assert.deepEqual(shownOf({ binds: [WORKSPACE, run], env }), {
    binds: [WORKSPACE, run],
    env: ['HOME', 'TZ'],
    sockets: ['/run/glass/hatch.sock', '/run/glass/egress.sock'],
    capabilities: 'none',
  });
  const service = { ...run, target: EGRESS_FOLDER };
  assert.deepEqual(shownOf({ binds: [run, service], env }).sockets, [
    '/run/glass/hatch.sock',
    `${EGRESS_FOLDER}/egress.sock`,
  ]);
  assert.deepEqual(shownOf({ binds: [], env }).sockets, []);
});

describe('the mount table', () => {
  const own = ownMounts('bubblewrap', ['/usr']);
  const mount = (root: string, target: string, flags: string, tags = ''): string =>
    `21 20 8:1 ${root} ${target} ${flags}${tags} - ext4 /dev/sda rw`;
  const good = [
    mount('/', '/', 'ro,nosuid,nodev'),
    mount('/data/w', '/workspace', 'rw,nosuid,nodev'),
    mount('/data/n', '/notes', 'ro,nosuid,nodev'),
  ];
  const wrong = (lines: string[]): Record<string, string[]> => {
    const found = compareMounts(parseMounts(lines.join('\n')), [WORKSPACE, NOTES], own, HOST.devices);
    return Object.fromEntries([...found].filter(([, targets]) => targets.length > 0));
  };

  test('is as declared when nothing is more or less', () => assert.deepEqual(wrong(good), {}));

  test('shows each way of not being as declared', () => {
    const [root, workspace, notes] = good as [string, string, string];
    assert.deepEqual(wrong([root, workspace]), { 'mounts.missing': ['/notes'] });
    assert.deepEqual(wrong([...good, mount('/home', '/a\\040b', 'ro')]), { 'mounts.extra': ['/a b'] });
    assert.deepEqual(wrong([root, workspace, mount('/etc', '/notes', 'ro')]), { 'mounts.sources': ['/notes'] });
    assert.deepEqual(wrong([root, workspace, mount('/@sub/data/n', '/notes', 'ro')]), {});
    assert.deepEqual(wrong([root, workspace, mount('/', '/notes', 'ro')]), {});
    for (const from of ['/', '/data/n', '/@sub/data/n'])
      assert.deepEqual(wrong([root, workspace, mount(from, '/notes', 'ro').replace('8:1', '0:51')]), {
        'mounts.sources': ['/notes'],
      });
    assert.deepEqual(wrong([root, notes, mount('/data/w', '/workspace', 'rw')]), {
      'workspace.flags': ['nosuid', 'nodev'],
      'binds.suid': ['/workspace'],
      'binds.dev': ['/workspace'],
    });
    assert.deepEqual(Object.keys(wrong([root, workspace, mount('/data/n', '/notes', 'rw,nosuid,nodev')])), [
      'mounts.access',
      'mounts.writable',
    ]);
    assert.deepEqual(wrong([...good, mount('/', '/proc', 'rw,nosuid,nodev')]), { 'mounts.exec': ['/proc'] });
    assert.deepEqual(wrong([root, workspace, mount('/data/n', '/notes', 'ro', ' shared:5')]), {
      'mounts.shared': ['/notes'],
    });
  });
});

test('a path lies on the mount that is nearest above it, and of two at one place on the later one', () => {
  const line = (device: string, target: string): string => `1 1 ${device} / ${target} rw - ext4 /dev/sda rw`;
  const table = parseMounts(
    [line('8:1', '/'), line('8:2', '/data'), line('8:3', '/data'), line('8:4', '/data/w')].join('\n'),
  );
  const found = ['/', '/database', '/data', '/data/x', '/data/w', '/data/w/a'].map((path) => deviceAt(table, path));
  assert.deepEqual(found, ['8:1', '8:1', '8:3', '8:3', '8:4', '8:4']);
  assert.equal(deviceAt([], '/data'), undefined);
});

test('whose account a sandbox has is said as it is under its runtime', () => {
  assert.equal(accountWords({ uid: 7, runtime: 'docker' }), 'uid 7, of this group only');
  assert.match(accountWords({ uid: null, runtime: 'bubblewrap' }), /operator’s own, in a user namespace$/);
  for (const runtime of ['docker', 'podman'] as const)
    assert.match(accountWords({ uid: null, runtime }), /operator’s own, in the host’s user namespace$/);
  assert.equal(accountWords({ uid: null, runtime: null }), 'the operator’s own');
  const probe = allProbes('x64', { loopback_port: 1, abstract: 'a', address: null }).find(
    ({ id }) => id === 'namespace.user',
  )!;
  for (const profile of ['docker', 'podman'] as const) {
    const { seen } = judged(probe, {}, { profile });
    assert.match(seen, /share the host’s user namespace/);
    assert.doesNotMatch(seen, /differs/, 'which is not so where the host is no root');
  }
});

test('a report shows what came out of a sandbox as text', () => {
  const probe = {
    id: 'a',
    group: 'network',
    what: 'x',
    state: 'failed',
    expected: 'y',
    seen: '| <b>`x`\u001b[2J\n# y',
  } as const;
  const actual = {
    mounts: [],
    env: [],
    sockets: ['/run/glass/inspect.sock'],
    uid: '',
    gid: '',
    caps: {},
    no_new_privs: '',
    seccomp: '',
    limits: {},
    etc: [],
    kernel: '6',
    image: 'sha256:ab',
  };
  const inspection: Inspection = {
    at_ms: 0,
    profile: 'docker',
    depth: 'quick',
    ms: 1,
    ok: false,
    problem: null,
    probes: [probe],
    declared: shownOf(sandboxSpec()),
    actual,
  };
  const report = renderInspection({
    group: 'g',
    versions: [],
    declared: [{ label: 'Memory', value: '1 GiB' }],
    inspection,
    last_seen: { a: Date.UTC(2026, 0, 2, 3, 4) },
  });

  assert.match(report, /\| last seen to hold \| probe \|\n.*\n.*\| 2026-01-02T03:04 \| a \|/);
  assert.match(report, /\*\*The boundary does not hold as declared\.\*\* 0 of 1 probes hold, 1 failed/);
  assert.ok(report.includes('\\| \\<b\\>\\`x\\` \\[2J \\# y'));
  assert.ok(report.includes('| Memory | 1 GiB |'));
  assert.ok(report.includes('| image | sha256:ab |'));
  assert.ok(report.includes('| sockets | /run/glass/inspect.sock |'));
  assert.ok(report.includes('## What this does not prove'));
});
