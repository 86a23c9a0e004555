import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { forgetPoint, restorePoint } from '../../sandbox/harnesses/claude/point.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** Whether a transcript, which the agent can write to, still holds the conversation that a point stands for. */

const POINT = { session: 'session', message: 'c' };

/** Entries as uuid and parent, in a transcript. */
function transcript(context: TestContext, ...entries: [uuid: string, parent: string | null][]) {
  const config = temporaryFolder(context);
  const file = join(config, 'projects/workspace/session.jsonl');
  mkdirSync(join(config, 'projects/workspace'), { recursive: true });
  const lines = entries.map(([uuid, parentUuid]) => JSON.stringify({ parentUuid, uuid }));
  writeFileSync(file, [JSON.stringify({ type: 'summary' }), ...lines, ''].join('\n'));
  return { config, text: () => readFileSync(file, 'utf8') };
}

const WHOLE: [string, string | null][] = [
  ['a', null],
  ['b', 'a'],
  ['c', 'b'],
];

test('a whole conversation is restored, without what follows its point', (context) => {
  const { config, text } = transcript(context, ...WHOLE, ['d', 'c']);
  const before = text();
  assert.equal(restorePoint(config, POINT), true);
  assert.equal(text(), before.slice(0, before.indexOf('\n', before.indexOf('"uuid":"c"')) + 1));
});

for (const [what, entries] of [
  ['its beginning', WHOLE.slice(1)],
  ['its middle', [WHOLE[0]!, WHOLE[2]!]],
  ['its point', WHOLE.slice(0, 2)],
  [
    'an end, since it goes in a circle',
    [
      ['a', 'c'],
      ['b', 'a'],
      ['c', 'b'],
    ],
  ],
] as [string, [string, string | null][]][])
  test(`one that has lost ${what} is lost`, (context) => {
    assert.equal(restorePoint(transcript(context, ...entries).config, POINT), false);
  });

test('what is forgotten is not found again', (context) => {
  const { config } = transcript(context, ...WHOLE);
  forgetPoint(config, POINT);
  assert.equal(restorePoint(config, POINT), false);
});
