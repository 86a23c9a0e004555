import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { Install } from '../fakes/install.ts';
import { Terminal } from '../fakes/terminal.ts';

/** `glass doctor --bundle` on a live install, and while it is down: canaries are said, set and logged, and none is packed. */

const SECRET = 'fake-canary-secret-0123456789';
const install = new Install(tmpdir(), ROOT, { GLASS_CANARY_TOKEN: 'canary-of-the-environment' });
const folder = mkdtempSync(join(tmpdir(), 'gd-'));

before(async () => {
  install.install('runtime: bubblewrap\n');
  install.group('assistant', 'harness: probe\n');
  await install.start();
  await install.secret('canary-api', SECRET, { form: { kind: 'channel' }, hosts: [] });
});
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  rmSync(folder, { recursive: true, force: true });
});

function unpacked(name: string, ...more: string[]): { said: string; text: string } {
  const file = join(folder, name);
  const made = install.glass('doctor', '--bundle', '-o', file, ...more);
  assert.equal(made.status, 0, made.stderr);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { status, stdout } = spawnSync('tar', ['-xzOf', file], { encoding: 'utf8' });
  assert.equal(status, 0);
  return { said: made.stdout, text: stdout };
}

test('of a live install there is all that helps, and no text, secret or name', async () => {
  const chat = await Terminal.open(install.control, 'main');
  await chat.say('canary-words of the operator');
  assert.equal(install.glass('people', 'add', 'Annabel Canary').status, 0);
  const log = { at: new Date().toISOString(), level: 'warn', process: 'host', event: 'x' };
  appendFileSync(
    join(install.paths.logs, 'host.log'),
    `${JSON.stringify({ ...log, reason: `token: ${SECRET} of Annabel Canary` })}\n`,
  );
  const { said, text } = unpacked('live.tar.gz');
  assert.doesNotMatch(text, /canary-words|0123456789|canary-of|Annabel/i);
  assert.match(text, /"schema": \d+/);
  assert.match(text, /"kind":"message\.queued"/);
  assert.match(text, /"event":"host\.ready"/);
  assert.match(said, /status\.json +\d+ bytes/);
  assert.match(said, /Look before you send it/);
  assert.match(unpacked('names.tar.gz', '--names').text, /Annabel Canary/);
});

test('nobody’s file is written over', () => {
  const file = join(folder, 'live.tar.gz');
  const before = statSync(file).mtimeMs;
  const again = install.glass('doctor', '--bundle', '-o', file);
  assert.equal(again.status, 5);
  assert.match(again.stderr, /is there already/);
  assert.equal(statSync(file).mtimeMs, before);
});

test('while the host is down it says what is missing; what it has left is mended by --fix, and the next start is well', async () => {
  await install.end('host', 'SIGKILL');
  await install.end('gateway', 'SIGKILL');
  const { said, text } = unpacked('down.tar.gz');
  assert.match(said, /Without what only the host knows: GlassClaw is not running/);
  assert.match(text, /Missing, because the host does not answer/);
  assert.doesNotMatch(text, /canary-words|0123456789|canary-of/);
  const fixed = JSON.parse(install.glass('doctor', '--fix', '--json').stdout) as {
    mended: { what: string; done: boolean; says: string }[];
  };
  const left = fixed.mended.find(({ what }) => what === 'run folder');
  assert.equal(left?.done, true, JSON.stringify(fixed.mended));
  assert.ok(!existsSync(install.paths.controlSocket));
  const looked = JSON.parse(install.glass('doctor', '--json').stdout) as { findings: { what: string }[] };
  assert.ok(
    !looked.findings.some(({ what }) => ['run folder', 'sandboxes', 'mount'].includes(what)),
    JSON.stringify(looked),
  );
  await install.start();
});
