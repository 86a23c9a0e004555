import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import type { Finding } from '../../src/operations/finding.ts';

function doctor(context: TestContext, prepare: (home: string) => void): { status: number | null; findings: Finding[] } {
  const parent = mkdtempSync(join(tmpdir(), 'glass-doctor-'));
  context.after(() => rmSync(parent, { recursive: true }));
  const home = join(parent, 'home');
  prepare(home);
  const env = { ...process.env, GLASS_HOME: home };
  const words = [join(ROOT, 'src/cli/main.ts'), 'doctor', '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8', timeout: 20_000 });
  assert.equal(stderr, '');
  return { status, findings: JSON.parse(stdout).findings };
}

test('glass doctor looks at a machine without an install, and makes none', (context) => {
  let home = '';
  const { status, findings } = doctor(context, (folder) => {
    home = folder;
  });
  const problems = findings.filter((finding) => finding.state === 'problem');
  assert.equal(status, problems.length === 0 ? 0 : 1);
  assert.ok(findings.some((finding) => finding.what === 'bubblewrap'));
  assert.deepEqual(readdirSync(join(home, '..')), []);
});

test('a glass.yaml that is refused is a problem, with its reason and place', (context) => {
  const { status, findings } = doctor(context, (home) => {
    mkdirSync(home, { mode: 0o755 });
    writeFileSync(join(home, 'glass.yaml'), 'runtime: none\n');
  });
  assert.equal(status, 1);
  const wrong = findings.find((finding) => finding.what === 'glass.yaml')!;
  assert.equal(wrong.state, 'problem');
  assert.match(wrong.says, /runtime: Invalid option/);
  assert.match(findings.find((finding) => finding.what === 'home')!.says, /other accounts may look/);
});
