import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathsOf, prepareHome } from '../../src/base/paths.ts';
import type { Status } from '../../src/evidence/status.ts';
import { type BundleFacts, bundleOf } from '../../src/operations/bundle.ts';
import { maskOf } from '../../src/operations/bundle_masks.ts';
import { tarOf } from '../../src/operations/tar.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** A diagnostics bundle holds no text, no secret and no name: canaries are put wherever one could come from. */

const TEXT = 'canary-text said by somebody';
const SECRETS = [
  'sk-canary0123456789',
  'xoxb-canary-0123456789',
  '123456789:AAcanary0123456789abcdefghij',
  'Canary0123456789abcdefXYZ',
];
const ANN = 'Annabel Canary';

function world(context: TestContext) {
  const folder = temporaryFolder(context);
  const paths = { ...pathsOf(join(folder, 'home'), { XDG_RUNTIME_DIR: folder }), run: join(folder, 'run') };
  prepareHome(paths);
  writeFileSync(
    paths.config,
    `runtime: bubblewrap\nchannels:\n  tg: {kind: telegram, token: "${SECRETS[2]}", note: "${TEXT}"}\n# ${TEXT}\n`,
  );
  mkdirSync(paths.group('assistant').folder);
  writeFileSync(
    paths.group('assistant').yaml,
    `harness: native\nsecrets: [api-token]\nmcp: {x: {command: [run, "${SECRETS[3]}"], env: {LOGIN: "${SECRETS[0]}"}}}\n`,
  );
  const line = (fields: object): string =>
    `${JSON.stringify({ at: '2026-01-01T00:00:00.000Z', level: 'warn', process: 'host', event: 'x', ...fields })}\n`;
  writeFileSync(
    join(paths.logs, 'host.log'),
    [
      line({ reason: `authorization: bearer ${SECRETS[3]}`, ms: 12 }),
      line({ text: TEXT, line: TEXT, subject: ANN }),
      line({ reason: `${SECRETS[0]} and ${SECRETS[1]} and ${SECRETS[2]}`, home: paths.home }),
      `${TEXT}\n`,
    ].join(''),
  );
  return paths;
}

const STATUS = {
  state: 'attention',
  conservation: { inbound: { answered: 7 } },
  channels: [{ name: 'tg', state: 'failed', detail: TEXT, seen: { last_error: { at_ms: 1, text: TEXT } } }],
  sessions: [{ session: 's1', marks: `A (GET api.example.com/${TEXT})` }],
  alerts: [{ id: 'a1', kind: 'delivery.rejected', subject: `chat of ${ANN}`, text: TEXT, count: 1, since_ms: 1 }],
} as unknown as Status;

const EVENTS = [
  {
    id: 1,
    at: 'x',
    kind: 'message.received',
    message: 'm1',
    data: { channel: 'tg', chat: TEXT, sender: ANN, bytes: 9 },
  },
  { id: 2, at: 'x', kind: 'tool.called', turn: 't1', data: { tool: TEXT, ok: true, ms: 4, summary: TEXT } },
];

function facts(more: Partial<BundleFacts> = {}): BundleFacts {
  return {
    ...{
      at_ms: 0,
      missing: null,
      versions: { node: '24' },
      findings: [],
      names: false,
      env: { APP_TOKEN: 'canary-of-env', GLASS_HOME: '/x' },
    },
    host: { status: STATUS, events: EVENTS, names: [ANN] },
    ...more,
  };
}

test('no canary is in it: texts, secrets of any look, the environment, names', (context) => {
  const paths = world(context);
  const whole = JSON.stringify(bundleOf(paths, facts({ findings: [{ says: `of ${ANN}, canary-of-env` }] })));
  assert.doesNotMatch(whole, /canary/i);
  assert.ok(!whole.includes(paths.home), 'the place of the home is somebody’s');
});

test('what helps is in it: numbers, kinds, states, names of secrets, reasons', (context) => {
  const entries = bundleOf(world(context), facts());
  const file = (name: string): string => entries.find((entry) => entry.name === name)?.text ?? assert.fail(name);
  assert.match(file('status.json'), /"answered": 7/);
  assert.match(file('status.json'), /delivery\.rejected/);
  assert.match(file('events.ndjson'), /"bytes":9/);
  assert.match(file('config.json'), /api-token/);
  assert.match(file('host.log'), /"ms":12/);
  assert.match(file('environment.json'), /GLASS_HOME/);
  for (const { name } of entries) assert.ok(name === 'README.txt' || file('README.txt').includes(name), name);
  assert.match(file('README.txt'), /Look before you send it/);
});

test('names are in it when the operator says so, and still no text', (context) => {
  const whole = JSON.stringify(bundleOf(world(context), facts({ names: true })));
  assert.match(whole, new RegExp(ANN));
  assert.doesNotMatch(whole, /canary-text|canary0123/i);
});

test('without a host it is made all the same, and says what is missing', (context) => {
  const entries = bundleOf(world(context), facts({ host: null, missing: 'GlassClaw is not running' }));
  assert.ok(!entries.some(({ name }) => name === 'status.json'));
  assert.match(entries[0]!.text, /Missing, because the host does not answer \(GlassClaw is not running\)/);
  assert.ok(entries.some(({ name }) => name === 'host.log'));
});

test('a name is masked as a word, hashes and times are not', () => {
  const mask = maskOf([], ['Al', 'a.b*'], {});
  const hash = 'a'.repeat(10) + '0123456789'.repeat(3);
  assert.equal(
    mask(`Al is not Also; a.b* is, aXb is not; ${hash} 2026-11-26T13:43:29.826Z`),
    `[name] is not Also; [name] is, aXb is not; ${hash} 2026-11-26T13:43:29.826Z`,
  );
});

test('the archive is one that tar reads, byte for byte', (context) => {
  const folder = temporaryFolder(context);
  const texts = ['', 'x'.repeat(511), 'é'.repeat(256), `${'y'.repeat(1024)}\n`];
  writeFileSync(
    join(folder, 'x.tar'),
    tarOf(
      texts.map((text, i) => ({ name: `f${i}`, text })),
      1_700_000_000_000,
    ),
  );
  const listed = spawnSync('tar', ['-tvf', 'x.tar'], { cwd: folder, encoding: 'utf8' });
  assert.equal(listed.status, 0, listed.stderr);
  assert.match(listed.stdout, /^-rw------- 0\/0/m);
  for (const [i, text] of texts.entries())
    assert.equal(spawnSync('tar', ['-xOf', 'x.tar', `f${i}`], { cwd: folder, encoding: 'utf8' }).stdout, text);
});
