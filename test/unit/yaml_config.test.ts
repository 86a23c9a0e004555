import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TOOLS } from '../../src/authority/schema.ts';
import { isGroupName, readInstall } from '../../src/base/config.ts';
import * as messageLimits from '../../src/base/limits/messages.ts';
import * as limits from '../../src/base/limits/sandbox.ts';
import { readFixture } from '../fakes/authorities.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

function fileOf(context: TestContext, yaml: string): string {
  const file = join(temporaryFolder(context), 'group.yaml');
  writeFileSync(file, yaml);
  return file;
}

test('an empty file is a group with every default', (context) => {
  for (const yaml of ['', '# nothing\n', '{}\n', 'null\n', '---\n']) {
    assert.deepEqual(readFixture(fileOf(context, yaml)), {
      version: 2,
      group: 'assistant',
      harness: 'auto',
      model: {
        provider: 'anthropic',
        name: 'claude-sonnet-5',
        upstream: 'https://api.anthropic.com',
        secret: 'anthropic',
      },
      runtime: 'bubblewrap',
      oci_runtime: null,
      userland: 'host',
      packages: { apt: [], npm: [], pip: [] },
      mounts: [],
      egress: {},
      secrets: [],
      tools: [...TOOLS].sort(),
      budget: {},
      limits: {
        memory: limits.SANDBOX_MEMORY_BYTES,
        pids: limits.SANDBOX_PIDS,
        cpus: limits.SANDBOX_CPUS,
        tmp: limits.SANDBOX_TMP_BYTES,
        shm: limits.SANDBOX_SHM_BYTES,
        disk_write: limits.SANDBOX_DISK_WRITE_BYTES,
        workspace: limits.WORKSPACE_BYTES,
        files: limits.SANDBOX_OPEN_FILES,
        turn: messageLimits.TURN_DEADLINE_MS,
        idle: messageLimits.SESSION_IDLE_MS,
      },
    });
  }
});

test('what a file says counts, in its units', (context) => {
  const group = readFixture(
    fileOf(
      context,
      'harness: native\nmodel: {provider: openai, upstream: "http://127.0.0.1:8080/v1//", secret: none}\nruntime: docker\nlimits: {memory: 2GiB, pids: 64, cpus: 0.5, tmp: 1MiB, workspace: 3GiB, turn: 90s, idle: 2h}\n',
    ),
  );
  assert.equal(group.model.upstream, 'http://127.0.0.1:8080/v1');
  assert.equal(group.model.secret, null);
  assert.equal(group.runtime, 'docker');
  assert.equal(group.userland, 'image');
  const { memory, pids, cpus, tmp, turn, idle } = group.limits;
  assert.deepEqual([memory, pids, cpus, tmp, turn, idle], [2 ** 31, 64, 0.5, 2 ** 20, 90_000, 7_200_000]);
});

/** Each is refused in one sentence that names the file and, where it can, the place. */
const REFUSED: [name: string, yaml: string, sentence: RegExp][] = [
  ['an unknown key', 'harnes: probe\n', /Unrecognized key.*harnes/],
  ['an unknown key further in', 'limits: {ram: 1GiB}\n', /limits: Unrecognized key.*ram/],
  ['a key of the prototype', '__proto__: {harness: probe}\n', /Unrecognized key/],
  ['a list', '- harness\n', /expected object/],
  ['a text', 'probe\n', /expected object/],
  ['a number where a name is asked for', 'harness: 7\n', /harness: /],
  ['YAML 1.1’s "no" is a text', 'harness: no\n', /harness: Invalid option/],
  ['a duplicate key', 'harness: probe\nharness: native\n', /:2: Map keys must be unique/],
  ['an anchor', 'harness: &h probe\n', /anchors \(&h\) are not allowed/],
  ['an anchor on a map', 'model: &m {name: x}\n', /anchors \(&m\) are not allowed/],
  ['an alias', 'harness: &h probe\nruntime: *h\n', /(anchors|aliases).*are not allowed/],
  ['an alias to nowhere', 'harness: *nowhere\n', /nowhere|aliases/],
  ['a merge key', '<<: {harness: probe}\n', /Unrecognized key|<</],
  ['a tag of its own', 'harness: !secret probe\n', /tag/i],
  ['a standard tag', 'harness: !!str probe\n', /tag/i],
  ['a binary tag', 'harness: !!binary cHJvYmU=\n', /tag/i],
  ['two documents', 'harness: probe\n---\nharness: native\n', /document/],
  ['a broken flow', 'limits: {turn: 1s\n', /:\d+: /],
  ['a tab as indentation', 'limits:\n\tturn: 1s\n', /:2: /],
  ['a harness that does not exist', 'harness: codex\n', /harness: Invalid option/],
  ['a runtime that does not exist', 'runtime: host\n', /runtime: Invalid option/],
  ['a size without a unit', 'limits: {memory: 512}\n', /limits\.memory: /],
  ['a size in other units', 'limits: {memory: 512MB}\n', /limits\.memory: must be a size/],
  ['no memory at all', 'limits: {memory: 0MiB}\n', /limits\.memory: /],
  ['a duration without a unit', 'limits: {turn: 90}\n', /limits\.turn: /],
  ['a negative duration', 'limits: {turn: -1s}\n', /limits\.turn: must be a duration/],
  ['a workspace that is too small', 'limits: {workspace: 15MiB}\n', /limits\.workspace: must be at least 16MiB/],
  ['no time at all', 'limits: {turn: 0s}\n', /limits\.turn: /],
  ['a turn longer than any timer', 'limits: {turn: 600h}\n', /limits\.turn: /],
  ['an idle time longer than any timer', 'limits: {idle: 999999h}\n', /limits\.idle: /],
  ['too few processes', 'limits: {pids: 1}\n', /limits\.pids: /],
  ['half a process', 'limits: {pids: 16.5}\n', /limits\.pids: /],
  ['processors without end', 'limits: {cpus: .inf}\n', /limits\.cpus: /],
  ['processors that are no number', 'limits: {cpus: .nan}\n', /limits\.cpus: /],
  ['no processor', 'limits: {cpus: 0}\n', /limits\.cpus: /],
  ['a secret’s name that is a path', 'model: {secret: ../vault}\n', /model\.secret: must be 1–31/],
  ['a secret itself', 'model: {secret: sk-FAKE-not-a-real-key}\n', /model\.secret: must be 1–31/],
  ['an effort that nobody knows', 'model: {effort: extreme}\n', /model\.effort: /],
  ['an empty model name', 'model: {name: ""}\n', /model\.name: /],
  ['a tool that does not exist', 'tools: [send_money]\n', /tools\.0: Invalid option/],
  ['a budget below nothing', 'budget: {usd_per_day: -1}\n', /budget\.usd_per_day: /],
  ['a budget in no unit', 'budget: {daily: 5}\n', /budget: Unrecognized key/],
  ['a package that is a flag', 'packages: {apt: ["--reinstall"]}\n', /packages\.apt\.0: must be the name/],
  ['packages on the host’s programs', 'userland: host\npackages: {apt: [jq]}\n', /packages: .*userland: image/],
  ['an image without its runtime', 'runtime: docker\nuserland: host\n', /userland: docker always runs an image/],
  ['an OCI runtime of bubblewrap', 'oci_runtime: runsc\n', /oci_runtime: bubblewrap has none/],
  [
    'an OCI runtime that is a path',
    'runtime: docker\noci_runtime: /usr/bin/runsc\n',
    /oci_runtime: must be a plain name/,
  ],
  ['a mount that is relative', 'mounts: [{source: notes}]\n', /mounts\.0\.source: must be an absolute path/],
  ['a mount over the system', 'mounts: [{source: /opt/x, target: /usr}]\n', /mounts\.0\.target: must be \/mnt/],
  ['a mount that leaves its place', 'mounts: [{source: /opt/x, target: /mnt/../etc}]\n', /mounts\.0\.target: must be/],
  ['an access that is none', 'mounts: [{source: /opt/x, access: rw}]\n', /mounts\.0\.access: /],
  [
    'a secret of egress that is not listed',
    `egress: {gh: {host: api.example.com, use: pat, allow: [GET /x]}}\n`,
    /egress\.gh\.use: .*not in secrets/,
  ],
];

for (const [name, yaml, sentence] of REFUSED)
  test(`${name} is refused with its reason`, (context) => {
    const file = fileOf(context, yaml);
    assert.throws(
      () => readFixture(file),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'config');
        assert.ok(error.message.startsWith(file));
        assert.match(error.message.slice(file.length), sentence);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      },
    );
  });

const UPSTREAMS: [url: string, ok: boolean][] = [
  ['https://api.example.com', true],
  ['https://api.example.com/base/v1', true],
  ['http://127.0.0.1:11434', true],
  ['http://[::1]:8080', true],
  ['http://localhost:8080', true],
  ['http://api.example.com', false],
  ['http://127.0.0.1.example.com', false],
  ['http://localhost.example.com', false],
  ['http://0.0.0.0:80', false],
  ['https://user@api.example.com', false],
  ['https://user:fake-password@api.example.com', false],
  ['https://:fake-password@api.example.com', false],
  ['http://127.0.0.1@api.example.com', false],
  ['https://api.example.com/?key=fake', false],
  ['https://api.example.com/#part', false],
  ['https://api.example.com/v1?', false],
  ['https://api.example.com/v1#', false],
  [' https://api.example.com', false],
  ['https://api.exa\tmple.com', false],
  ['ftp://api.example.com', false],
  ['file:///etc/passwd', false],
  ['javascript:alert(1)', false],
  ['unix:/run/docker.sock', false],
  ['//api.example.com', false],
  ['api.example.com', false],
  ['', false],
];

for (const [url, ok] of UPSTREAMS)
  test(`the upstream ${JSON.stringify(url)} ${ok ? 'passes' : 'is refused'}`, (context) => {
    const file = fileOf(context, `model: {upstream: ${JSON.stringify(url)}}\n`);
    if (ok) assert.equal(readFixture(file).model.upstream, url);
    else assert.throws(() => readFixture(file), { code: 'config' });
  });

test('a refusal does not repeat the password that was in the address', (context) => {
  const file = fileOf(context, 'model: {upstream: "https://user:fake-password@api.example.com"}\n');
  assert.throws(
    () => readFixture(file),
    (error: Error) => !error.message.includes('fake-password'),
  );
});

test('a file that is not there, or not a file, is refused in one sentence', (context) => {
  const folder = temporaryFolder(context);
  assert.throws(() => readFixture(join(folder, 'none.yaml')), { code: 'config', message: /ENOENT/ });
  assert.throws(() => readFixture(folder), { code: 'config', message: /EISDIR/ });
});

test('the install’s file is as strict', (context) => {
  assert.equal(readInstall(fileOf(context, '')).runtime, 'bubblewrap');
  for (const yaml of ['default_group: ../../etc\n', 'runtime: none\n', 'port: 80\n', 'image: ""\n'])
    assert.throws(() => readInstall(fileOf(context, yaml)), { code: 'config' }, yaml);
});

test('a group’s name cannot leave its folder', () => {
  for (const name of ['assistant', 'a', 'a-1', 'x'.repeat(31)]) assert.equal(isGroupName(name), true, name);
  const bad = [
    '',
    '.',
    '..',
    '../x',
    'a/b',
    'a\\b',
    '/etc',
    'A',
    '1a',
    '-a',
    'a.b',
    'a b',
    'a\n',
    'a\0',
    'é',
    'x'.repeat(32),
    '__proto__',
  ];
  for (const name of bad) assert.equal(isGroupName(name), false, JSON.stringify(name));
});
