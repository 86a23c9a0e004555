import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { KINDS } from '../../src/channels/kinds.ts';
import { page } from '../kits/channel_table.ts';

test('the table of what channels can do says what the drivers declare', () => {
  const { is, should } = page();
  assert.equal(is, should, 'node test/kits/channel_table.ts writes it anew');
});

for (const kind of KINDS) {
  test(`the kind ${kind.kind} has a page, a driver where it says, and steps`, () => {
    assert.ok(existsSync(join(ROOT, `docs/channels/${kind.kind}.md`)));
    assert.ok(existsSync(kind.driver));
    assert.ok(existsSync(join(ROOT, `src/channels/${kind.kind}/package-lock.json`)));
    assert.ok(kind.steps({ name: 'x', settings: {} }).length > 1);
    const needed = kind.settings.safeParse({}).error?.issues.map(({ path }) => String(path[0])) ?? [];
    for (const name of needed) assert.ok(kind.asks?.[name], `what ${name} is`);
    // A name and its secret's are one name in the vault, of at most 31 characters.
    for (const { name } of kind.secrets) assert.match(name, /^[a-z][a-z0-9_-]{0,11}$/);
  });
}
