import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  STATE_UNSEEN_BYTES,
  STATE_UNSEEN_LOOKS,
  WORKSPACE_MEASURE_MS,
  WORKSPACE_MEASURE_NEAR_MS,
} from '../../src/base/limits/sandbox.ts';
import { showSize } from '../../src/base/text.ts';
import { judge, limitOf, nextLook, readReport, type Usage, whenWritten } from '../../src/sessions/workspace_watch.ts';

const MIB = 2 ** 20;
const limit: Usage = { bytes: 100 * MIB, files: 1000 };
const used = (mib: number, files = 10): Usage => ({ bytes: mib * MIB, files });

describe('a workspace that is measured', () => {
  /** Looks, in order, and after which of them it must end. */
  const cases: [name: string, looks: Usage[], ends: (string | null)[]][] = [
    ['below its cap all the time', [used(1), used(100), used(2)], [null, null, null]],
    ['that passes its cap', [used(1), used(101)], [null, 'the workspace is larger than 100 MiB']],
    ['with too many files', [used(1), used(1, 1001)], [null, 'the workspace has more than 1000 files']],
    ['over at the first look may be cleaned up', [used(300), used(300), used(50)], [null, null, null]],
    ['over, and growing', [used(300), used(301)], [null, 'the workspace is larger than 100 MiB']],
    [
      'over, smaller, and growing again',
      [used(300), used(200), used(250)],
      [null, null, 'the workspace is larger than 100 MiB'],
    ],
    ['within its cap again has all of it', [used(300), used(10), used(99)], [null, null, null]],
  ];
  for (const [name, looks, ends] of cases)
    test(name, () => {
      let ceiling: Usage | null = null;
      const told = looks.map((now) => {
        const judgement = judge({ name: 'the workspace', limit }, ceiling, now);
        ceiling = judgement.ceiling;
        return judgement.over;
      });
      assert.deepEqual(told, ends);
    });

  test('is looked at more often from half of its cap on, in bytes or in files', () => {
    assert.equal(nextLook(limit, used(50, 500)), WORKSPACE_MEASURE_MS);
    assert.equal(nextLook(limit, used(51)), WORKSPACE_MEASURE_NEAR_MS);
    assert.equal(nextLook(limit, used(1, 501)), WORKSPACE_MEASURE_NEAR_MS);
  });
});

test('a report is two numbers; what hides something is no report, and what went away meanwhile does not matter', () => {
  const good = '4096\t/workspace\n3\t/workspace\nmeasured\n';
  assert.deepEqual(readReport(good), { bytes: 4096, files: 3 });
  const gone = "du: cannot access '/workspace/x': No such file or directory\n";
  assert.deepEqual(readReport(gone + good), { bytes: 4096, files: 3 });
  const closed = "du: cannot read directory '/workspace/x': Permission denied\n";
  assert.equal(readReport(closed + good), 'a folder in it is closed to its own account');
  for (const cut of ['', '4096\t/workspace\n', good.slice(0, -3), '12\t/workspace\\n13\t/workspace\nmeasured\n'])
    assert.equal(typeof readReport(cut), 'string');
});

test('sizes are shown as they are written, and a size allows a number of files', () => {
  assert.deepEqual([2 ** 31, 1.5 * 2 ** 30, 512 * MIB, 3 * 1024].map(showSize), [
    '2 GiB',
    '1536 MiB',
    '512 MiB',
    '3 KiB',
  ]);
  assert.deepEqual(limitOf(2 ** 31), { bytes: 2 ** 31, files: 131_072 });
});

describe('a state that is measured only when something was written', () => {
  /** Free bytes of the disk at each look, and at which of them it is measured. */
  const cases: [name: string, known: Usage | null, free: number[], measured: boolean[]][] = [
    ['nobody knows what is there', null, [0, 0], [true, false]],
    ['it is new', used(0), [0, 0], [false, false]],
    [
      'a little was written each time',
      used(0),
      [-16 * MIB, -STATE_UNSEEN_BYTES, -STATE_UNSEEN_BYTES],
      [false, true, false],
    ],
    [
      'others remove more than is written',
      used(0),
      Array(STATE_UNSEEN_LOOKS).fill(MIB),
      [...Array(STATE_UNSEEN_LOOKS - 1).fill(false), true],
    ],
  ];
  for (const [name, known, frees, measured] of cases)
    test(name, async () => {
      const free = [0, ...frees];
      let looks = 0;
      const look = whenWritten(
        () => free.shift()!,
        known,
        async () => used(++looks),
      );
      const seen: boolean[] = [];
      for (const _ of frees) {
        const before = looks;
        await look();
        seen.push(looks > before);
      }
      assert.deepEqual(seen, measured);
    });

  test('what could not be measured is measured again at the next look', async () => {
    const answers = ['no', used(1)];
    const look = whenWritten(
      () => 0,
      null,
      async () => answers.shift()!,
    );
    assert.deepEqual([await look(), await look()], ['no', used(1)]);
  });
});
