import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Need, type Row, without } from './channel_row.ts';
import { ROWS_FAULTS } from './channel_rows_faults.ts';
import { ROWS_IN } from './channel_rows_in.ts';
import { ROWS_OUT } from './channel_rows_out.ts';
import { type ChannelUnderTest, Scene } from './channel_scene.ts';
import { WRONGS } from './channel_wrongs.ts';

export type { Account, ChannelUnderTest, Faults, Hook, People, Place, Saying, Sent } from './channel_scene.ts';

/**
 * The conformance kit of channel drivers: what holds for each of them, against a fake of its platform that speaks the real
 * wire protocol. Nothing here is one platform's.
 */
const ROWS: readonly Row[] = [...ROWS_IN, ...ROWS_OUT, ...ROWS_FAULTS];

/** The rows that see it, of what not every fake can show: without them a wrong driver cannot be seen either. */
const SEEN_BY: Partial<Record<Need, string>> = {
  cards: 'a card shows its title, its text and its fields, in their order',
  threads: 'a thread is told apart, both ways',
  files_in: 'files come in whole',
  missed: 'what was said while nobody listened comes in, in order',
};

/** What must turn red within this does it in a tenth of it. */
const WRONG_PATIENCE_MS = 3000;

export function channelKit(subject: ChannelUnderTest): void {
  describe(`the channel ${subject.title}`, () => {
    for (const row of ROWS) {
      test(row.name, async (context) => {
        const missing = subject.lacks[row.name] ?? (await missingOf(subject, row));
        if (missing !== null) return context.skip(missing);
        await using scene = await Scene.of(subject);
        await row.run(scene);
      });
    }

    test('what it says of itself is what its driver is made from', async () => {
      const { kind } = subject;
      await using scene = await Scene.of(subject);
      const { settings, secrets } = scene.account.parts;
      assert.deepEqual(kind.settings.parse(settings), settings);
      assert.throws(() => kind.settings.parse({ ...settings, 'no such setting': 1 }), 'settings are strict');
      assert.deepEqual(scene.capabilities, kind.capabilities(settings));
      assert.notEqual(kind.steps({ name: 'x', settings }).length, 0);
      for (const { name, looks, optional } of kind.secrets) {
        if (secrets[name] === undefined) assert.ok(optional?.(settings), `the secret ${name} is missing`);
        else if (looks !== undefined) assert.match(secrets[name], looks.like);
      }
    });

    test('what it lacks are rows of the kit', () => {
      const names = ROWS.map(({ name }) => name);
      assert.deepEqual(
        Object.keys(subject.lacks).filter((name) => !names.includes(name)),
        [],
      );
    });
  });
}

/** Each row, or those with this need, with a driver that does one thing wrong: the row must say so. */
export function channelWrongs(subject: ChannelUnderTest, need?: Need): void {
  describe(`what the kit finds wrong, with ${subject.title}`, () => {
    for (const { row: name, title, makes, says, patience_ms = WRONG_PATIENCE_MS, needs } of WRONGS) {
      if (need !== undefined && ROWS.find((each) => each.name === name)?.needs !== need) continue;
      test(`${name}: ${title}`, async (context) => {
        const row = ROWS.find((each) => each.name === name);
        assert.ok(row, 'there is such a row');
        const unseen = needs === undefined ? undefined : subject.lacks[SEEN_BY[needs] ?? ''];
        const missing =
          subject.lacks[name] ?? unseen ?? (await missingOf(subject, row)) ?? (await missingOf(subject, { needs }));
        if (missing !== null) return context.skip(missing);
        await assert.rejects(async () => {
          await using scene = await Scene.of(subject, makes, patience_ms);
          await row.run(scene);
        }, says);
      });
    }

    test('each row has a driver that is wrong', () => {
      assert.deepEqual(
        ROWS.map(({ name }) => name).filter((name) => !WRONGS.some(({ row }) => row === name)),
        [],
      );
    });
  });
}

async function missingOf(subject: ChannelUnderTest, { needs }: { needs?: Need | undefined }): Promise<string | null> {
  if (needs === undefined) return null;
  const account = await subject.start();
  await account.stop();
  return without(needs, subject.kind.capabilities(account.parts.settings), account.hook !== undefined);
}
