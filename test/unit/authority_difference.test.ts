import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Authority, bytesOf, hashOf } from '../../src/authority/authority.ts';
import { difference } from '../../src/authority/difference.ts';
import { keepAuthority, keptAuthority } from '../../src/authority/store.ts';
import { readFixture } from '../fakes/authorities.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

function authority(context: TestContext, yaml: string): Authority {
  const file = join(temporaryFolder(context), 'group.yaml');
  writeFileSync(file, yaml);
  return readFixture(file);
}

function words(context: TestContext, before: string, after: string): string[] {
  return difference(authority(context, before), authority(context, after)).map(
    (change) => `${change.kind} ${change.words}`,
  );
}

const GITHUB = `secrets: [pat]
egress:
  github:
    host: api.github.example
    use: pat
    allow: [GET /repos/acme/**]
    approve: [POST /repos/acme/app/pulls]
    rate: 60/min
`;

const SCENARIOS: [name: string, before: string, after: string, changes: string[]][] = [
  ['the same authority in other words', 'limits: {memory: 1GiB}\n', '# a comment\nlimits: {memory: 1024MiB}\n', []],
  ['another order of names', 'tools: [no_reply, send_message]\n', 'tools: [send_message, no_reply]\n', []],
  ['more memory', '', 'limits: {memory: 2GiB}\n', ['changes memory: 1 GiB → 2 GiB']],
  [
    'a tool less',
    '',
    'tools: [send_message, send_file, react, ask, card, list_destinations, no_reply, task_add, task_list, task_cancel]\n',
    ['loses tool history_search', 'loses tool request_authority'],
  ],
  [
    'another harness',
    '',
    'harness: native\n',
    ['changes harness: auto: claude with its credential, else the stand-in probe → native'],
  ],
  ['a first budget', '', 'budget: {usd_per_day: 5}\n', ['gains budget usd_per_day: at most 5 usd per day']],
  ['no budget any more', 'budget: {usd_per_day: 5}\n', '', ['loses budget usd_per_day: at most 5 usd per day']],
  [
    'a service',
    '',
    GITHUB,
    [
      'gains egress GET api.github.example/repos/acme/**, with the secret pat, at most 60/min',
      'gains egress POST api.github.example/repos/acme/app/pulls, after approval, with the secret pat, at most 60/min',
      'gains secret pat, for egress',
    ],
  ],
  [
    'a rule that no longer asks',
    GITHUB,
    GITHUB.replace('    approve: [POST /repos/acme/app/pulls]\n', '').replace(
      '/**]',
      '/**, POST /repos/acme/app/pulls]',
    ),
    [
      'gains egress POST api.github.example/repos/acme/app/pulls, with the secret pat, at most 60/min',
      'loses egress POST api.github.example/repos/acme/app/pulls, after approval, with the secret pat, at most 60/min',
    ],
  ],
];

for (const [name, before, after, changes] of SCENARIOS)
  test(`${name} is shown as what it changes`, (context) => assert.deepEqual(words(context, before, after), changes));

test('every field of an authority shows up when it changes', (context) => {
  const base = authority(context, GITHUB);
  const other = authority(
    context,
    `harness: probe\nmodel: {name: other}\nruntime: docker\noci_runtime: runc\npackages: {apt: [jq]}\ntools: []\nagents: {work: approve}\nmcp: {clock: {command: [date]}}\nbudget: {tokens_per_day: 1}\nlimits: {memory: 2MiB, pids: 17, cpus: 2, tmp: 1MiB, shm: 1MiB, workspace: 32MiB, files: 65, disk_write: 2MiB, turn: 2s, idle: 2s}\n`,
  );
  other.mounts.push({ source: '/data/notes', target: '/mnt/notes', access: 'read' });
  for (const key of Object.keys(other) as (keyof Authority)[]) {
    if (key === 'version' || key === 'group') continue;
    assert.notDeepEqual(difference(base, { ...base, [key]: other[key] }), [], key);
  }
  for (const key of Object.keys(base.limits) as (keyof Authority['limits'])[])
    assert.equal(difference(base, { ...base, limits: { ...base.limits, [key]: other.limits[key] } }).length, 1, key);
});

test('an authority has the same bytes whatever the order of its keys, and lies under their hash', (context) => {
  const folder = temporaryFolder(context);
  const one = authority(context, GITHUB);
  const turned = Object.fromEntries(Object.entries(one).reverse()) as unknown as Authority;
  assert.deepEqual(bytesOf(turned), bytesOf(one));
  const hash = keepAuthority(folder, one);
  assert.equal(keepAuthority(folder, turned), hash);
  assert.equal(hash, hashOf(bytesOf(one)));
  assert.deepEqual(readdirSync(folder), [`${hash}.json`]);
  assert.deepEqual(keptAuthority(folder, hash), JSON.parse(bytesOf(one).toString()));
});

test('a kept authority that was changed, is missing, or has another shape is refused', (context) => {
  const folder = temporaryFolder(context);
  mkdirSync(folder, { recursive: true });
  const hash = keepAuthority(folder, authority(context, ''));
  const path = join(folder, `${hash}.json`);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"pids":256', '"pids":9999'));
  assert.throws(() => keptAuthority(folder, hash), { code: 'config', message: /was changed/ });
  assert.throws(() => keptAuthority(folder, 'f'.repeat(64)), { code: 'config', message: /cannot be read/ });
  const other = { ...authority(context, ''), version: 1 as unknown as 2 };
  assert.throws(() => keptAuthority(folder, keepAuthority(folder, other)), { message: /by another version/ });
});

const SERVICES: [name: string, service: string, reason: RegExp | null][] = [
  ['an exact host', 'host: api.example.com, allow: [GET /x/**]', null],
  ['one segment', 'host: api.example.com, allow: ["GET /x/*/y"]', null],
  ['a wildcard that is named', 'host: "*.example.com", wildcard: true, allow: [GET /]', null],
  ['a host in capitals', 'host: API.example.com, allow: [GET /]', /host: must be a host name/],
  ['an address', 'host: 127.0.0.1, allow: [GET /]', /host: must be a host name/],
  ['an address as a number', 'host: "2130706433", allow: [GET /]', /host: must be a host name/],
  ['a dot at the end', 'host: api.example.com., allow: [GET /]', /host: must be a host name/],
  ['a host in other letters', 'host: аpi.example.com, allow: [GET /]', /host: must be a host name/],
  ['a host with a port', 'host: "api.example.com:22", allow: [GET /]', /host: must be a host name/],
  ['a wildcard that is not named', 'host: "*.example.com", allow: [GET /]', /wildcard: false do not fit/],
  ['a secret for a wildcard', 'host: "*.example.com", wildcard: true, use: pat, allow: [GET /]', /never gets a secret/],
  ['nothing that is allowed', 'host: api.example.com', /nothing is allowed/],
  ['a method of nobody', 'host: api.example.com, allow: [FETCH /x]', /must be a method and a path/],
  ['a path without a method', 'host: api.example.com, allow: [/x]', /must be a method and a path/],
  ['a path with dots', 'host: api.example.com, allow: [GET /a/../b]', /plain path/],
  ['an escape', 'host: api.example.com, allow: [GET /a%2fb]', /plain path/],
  ['two slashes', 'host: api.example.com, allow: [GET /a//b]', /plain path/],
  ['a query in a path', 'host: api.example.com, allow: ["GET /a?b=c"]', /plain path/],
  ['stars in the middle', 'host: api.example.com, allow: ["GET /**/b"]', /before its end/],
  ['a star in a segment', 'host: api.example.com, allow: ["GET /a*"]', /inside a segment/],
  ['a rate of nothing', 'host: api.example.com, allow: [GET /], rate: 0/min', /rate: must be a rate/],
  ['WebSockets', 'host: api.example.com, allow: [GET /], ws: true', null],
  ['WebSockets after approval', 'host: a.example.com, allow: [GET /], approve: [GET /a], ws: true', /ws: true goes/],
  ['WebSockets beside deny_json', 'host: a.example.com, allow: [GET /], deny_json: [a], ws: true', /ws: true goes/],
  ['a private network that is none', 'host: api.example.com, allow: [GET /], private: [10.0.0.0]', /private/],
];

for (const [name, service, reason] of SERVICES)
  test(`egress to ${name} ${reason === null ? 'passes' : 'is refused'}`, (context) => {
    const read = (): Authority => authority(context, `egress: {api: {${service}}}\nsecrets: [pat]\n`);
    if (reason === null) assert.ok(read().egress['api']);
    else assert.throws(read, (error: Error) => reason.test(error.message) && error.message.includes('egress.api'));
  });
