import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { remove } from '../fakes/remove.ts';

const INSTALL = `
import { installPackages } from ${JSON.stringify(join(ROOT, 'src/operations/package_install.ts'))};
import { packagesOf } from ${JSON.stringify(join(ROOT, 'src/sessions/harnesses.ts'))};
const root = process.argv[1];
await installPackages(root, packagesOf(root, 'native'), () => {}).catch((error) => console.log(error.code));
`;

test('a machine without npm says so, and the process that asked is not kept', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'glass-npm-'));
  context.after(() => remove(root));
  const harness = 'sandbox/harnesses/native';
  for (const file of ['package.json', 'package-lock.json'])
    cpSync(join(ROOT, harness, file), join(root, harness, file));
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', INSTALL, root], {
    env: { ...process.env, GLASS_NPM: '/nonexistent/npm' },
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.deepEqual([status, stdout], [0, 'unavailable\n']);
});
