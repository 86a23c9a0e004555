import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Engine } from '../../src/runtimes/engine.ts';
import { buildImage } from '../../src/runtimes/image.ts';
import { FakeEngine } from '../fakes/engine.ts';

const REGISTRY_BASE = 'debian:bookworm-slim';
const LOCAL_BASE = 'glassclaw-base:local';

/** An engine, and a `mmdebstrap` that does what the script says. */
async function world(context: { after(clean: () => void): void }, mmdebstrap: string) {
  const fake = new FakeEngine();
  const path = process.env['PATH'];
  context.after(() => {
    process.env['PATH'] = path;
    fake.close();
  });
  writeFileSync(join(fake.folder, 'mmdebstrap'), `#!/bin/sh\n${mmdebstrap}\n`);
  chmodSync(join(fake.folder, 'mmdebstrap'), 0o755);
  process.env['PATH'] = `${fake.folder}:${path}`;
  await fake.listen();
  const said: string[] = [];
  return { fake, said, build: () => buildImage(new Engine(fake.socket), (line) => said.push(line)) };
}

const bases = (fake: FakeEngine): (string | undefined)[] => fake.builds.map((args) => args['BASE']);

test('the image is built on a base of a registry where one can be reached', async (context) => {
  const { fake, build } = await world(context, 'exit 1');
  fake.bases.add(REGISTRY_BASE);
  await build();
  assert.deepEqual(bases(fake), [REGISTRY_BASE]);
  assert.equal(fake.imported.size, 0);
});

test('the image is built on a base made of Debian packages where no registry can be reached', async (context) => {
  const { fake, said, build } = await world(context, 'printf "a root with %s" "$4"');
  await build();
  assert.deepEqual([...fake.imported], [[LOCAL_BASE, 'a root with -']]);
  assert.deepEqual(bases(fake), [REGISTRY_BASE, LOCAL_BASE]);
  assert.match(
    said.find((line) => line.includes('instead'))!,
    /no such host.*making a base of Debian packages instead/,
  );
  const [first, second] = fake.builds;
  assert.ok(first!['RECIPE'], 'its label says what it is made by');
  assert.equal(second!['RECIPE'], first!['RECIPE']);
});

test('the reason of the maker is told, and nothing is built on half a base', async (context) => {
  const { fake, build } = await world(context, 'echo "E: Unable to locate package procps" >&2; printf half; exit 25');
  await assert.rejects(build(), {
    code: 'unavailable',
    message: /^mmdebstrap failed \(E: Unable to locate package procps/,
  });
  assert.deepEqual(bases(fake), [REGISTRY_BASE]);
});
