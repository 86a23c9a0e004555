import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { wishSchema } from '../../src/authority/wish.ts';
import { systemClock } from '../../src/base/clock.ts';
import { readInstall } from '../../src/base/config.ts';
import { pathsOf, prepareHome } from '../../src/base/paths.ts';
import { Groups } from '../../src/operations/groups.ts';
import type { Runtime } from '../../src/runtimes/runtime.ts';
import { freshLedger, temporaryFolder } from '../fakes/ledger_kit.ts';

/** Putting in force what a person has granted, while others write to the same file. */

const YAML = 'harness: probe\n';
const WISH = wishSchema.parse({ reason: 'x', mcp: [{ name: 'clock', command: ['date'] }] });

async function world(context: TestContext, whileImageIsMade: (yaml: string) => void) {
  const home = temporaryFolder(context);
  const paths = pathsOf(home, { XDG_RUNTIME_DIR: home });
  prepareHome(paths);
  writeFileSync(paths.config, '{}\n');
  const { folder, yaml } = paths.group('assistant');
  mkdirSync(folder, { recursive: true });
  writeFileSync(yaml, YAML);
  const runtime = { name: 'bubblewrap', check: async () => [], limits: async () => [] } as unknown as Runtime;
  let asked = false;
  const groups = new Groups({
    ...{ paths, install: readInstall(paths.config), ledger: await freshLedger(context) },
    ...{ clock: systemClock, env: {}, uids: { first: 1000, count: 10 } },
    runtimes: new Map([['bubblewrap', runtime]]),
    imageOf: async () => {
      if (asked) whileImageIsMade(yaml);
      return null;
    },
    limitsOf: async () => [],
    applied: () => {},
  });
  await groups.apply('assistant', (await groups.plan('assistant')).hash, 'test');
  const foreseen = groups.foresee('assistant', WISH);
  asked = true;
  const grant = () => groups.grant('assistant', WISH, { ...foreseen, by: 'olga' });
  const inForce = () => groups.show('assistant').in_force!.hash;
  return { grant, inForce, foreseen, text: () => readFileSync(yaml, 'utf8') };
}

test('what was shown is in the file and in force, and granting it again does nothing', async (context) => {
  const { grant, inForce, foreseen, text } = await world(context, () => {});
  await grant();
  assert.equal(inForce(), foreseen.hash);
  assert.match(text(), /clock/);
  const written = text();
  await grant();
  assert.equal(text(), written);
});

test('what the operator writes while the image is made stays, and nothing is granted', async (context) => {
  const edited = `${YAML}tools: [send_message]\n`;
  const { grant, inForce, foreseen, text } = await world(context, (yaml) => writeFileSync(yaml, edited));
  await assert.rejects(grant(), { code: 'conflict', message: /has been changed since it was shown/ });
  assert.equal(text(), edited);
  assert.equal(inForce(), foreseen.base);
});
