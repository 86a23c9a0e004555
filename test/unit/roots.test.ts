import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_PACKAGES } from '../../src/authority/packages.ts';
import { makeRoot } from '../../src/runtimes/roots.ts';
import { remove } from '../fakes/remove.ts';

/** What a real mmdebstrap prints, for each reason, to an account that is not root; and another failure of it. */
const SAID: Record<string, { message: RegExp; fix?: RegExp }> = {
  'E: unable to pick chroot mode automatically (use --mode for manual selection)': {
    message: /^Who is not root .* subordinate ids .*, and this account cannot$/,
    fix: /uidmap.*--add-subuids .*--add-subgids .*glass doctor/,
  },
  'E: Unable to locate package no-such': { message: /^mmdebstrap failed \(E: Unable to locate/ },
};

for (const [said, { message, fix }] of Object.entries(SAID))
  test(`a root that cannot be made because of "${said}" leaves nothing, and says ${fix ? 'how it can' : 'why'}`, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'glass-roots-'));
    const path = process.env['PATH'];
    context.after(() => {
      process.env['PATH'] = path;
      remove(folder);
    });
    writeFileSync(join(folder, 'mmdebstrap'), `#!/bin/sh\necho '${said}' >&2\nexit 25\n`);
    chmodSync(join(folder, 'mmdebstrap'), 0o755);
    process.env['PATH'] = `${folder}:${path}`;
    await assert.rejects(
      makeRoot(join(folder, 'cache'), NO_PACKAGES, () => {}),
      (error: { code: string; message: string; fix?: string }) => {
        assert.equal(error.code, 'unavailable');
        assert.match(error.message, message);
        if (fix === undefined) assert.equal(error.fix, undefined);
        else assert.match(error.fix!, fix);
        return true;
      },
    );
    assert.deepEqual(readdirSync(join(folder, 'cache/roots')), []);
  });
