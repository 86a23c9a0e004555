import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHECKS } from '../../src/evidence/check/report.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { claimsIn, SupervisedInstall } from '../kits/check_kit.ts';

/** A check is worth something only if it is red where a promise is broken: each promise is broken in a copy of the code. */

interface Broken {
  /** What no longer holds. */
  how: string;
  only: (typeof CHECKS)[number];
  patches: readonly Patch[];
  /** The claims that must fail, and no others. */
  red: readonly RegExp[];
}

/** What fails for want of something is waited for: it is looked for more often here, and given up sooner. */
const SOON: readonly Patch[] = [
  ['src/base/limits/messages.ts', 'SWEEP_MS = 30 * SECOND_MS', 'SWEEP_MS = 5 * SECOND_MS'],
  ['src/cli/check/visibility.ts', 'PATIENCE_MS = 90_000', 'PATIENCE_MS = 30_000'],
  ['src/cli/check/scene.ts', 'WAIT_MS = 60_000', 'WAIT_MS = 25_000'],
];

const BROKEN: readonly Broken[] = [
  {
    how: 'an event that is not recorded',
    only: 'traceability',
    patches: [['src/router/admission.ts', "recordEvent(db, clock, 'message.queued', links, { ahead });", '']],
    red: [/^The path of a first message/, /^The path of the next message/],
  },
  {
    how: 'a request that is recorded twice',
    only: 'traceability',
    patches: [
      [
        'src/evidence/trace_steps.ts',
        '.concat(restarts(db, messageId))',
        '.flatMap((step) => step.where === "gateway" ? [step, { ...step, id: step.id + "-2" }] : [step]).concat(restarts(db, messageId))',
      ],
    ],
    red: [/^The path of a first message/, /^The path of the next message/],
  },
  {
    how: 'a guard that is taken out',
    only: 'privilege',
    patches: [
      ['src/runtimes/bubblewrap_argv.ts', "'--disable-userns',", ''],
      ['src/runtimes/bubblewrap_argv.ts', "'--seccomp', String(SECCOMP_FD), ", ''],
    ],
    red: [/^The boundary of assistant holds/],
  },
  {
    how: 'answers that come twice, and a host that nobody starts again',
    only: 'recovery',
    patches: [
      [
        'src/channels/local/local.ts',
        "client.push({ t: 'message', key, thread, kind, body, answers, file });",
        "for (const copy of ['', '-2']) client.push({ t: 'message', key: key + copy, thread, kind, body, answers, file });",
      ],
      [
        'src/cli/up.ts',
        'setTimeout(() => this.#start(), this.#wait);',
        "if (this.#name !== 'host') setTimeout(() => this.#start(), this.#wait);",
      ],
    ],
    red: [
      /^The sandbox is killed .* answered exactly once/,
      /^The gateway is killed .* answered exactly once/,
      /^The host is killed .* comes back by itself/,
      /^The host is killed .* answered exactly once/,
    ],
  },
  {
    how: 'an alert that does not come, and one that does not clear',
    only: 'visibility',
    patches: [
      ['src/channels/supervised.ts', 'alert(DEAF, this.name, `', 'String(`'],
      ['src/sessions/session.ts', "this.#services.clear('sandbox.start', this.#shown());", ''],
    ],
    red: [
      /^A channel .* seen in what is recorded/,
      /^A channel .* seen as an alert/,
      /^A channel .* alert clears/,
      /^A gateway that is away is mended, and its alert clears/,
    ],
  },
];

for (const { how, only, patches, red } of BROKEN) {
  test(`${only} is red with ${how}`, async (context) => {
    using tree = new PatchedTree([...SOON, ...patches]);
    const supervised = new SupervisedInstall(tree.root);
    try {
      await supervised.start();
      const checked = await supervised.check('--yes', '--only', only);
      const failed = claimsIn(checked, 'failed');
      context.diagnostic(`${failed.length} red: ${failed.join('; ')}`);
      assert.deepEqual(
        failed.filter((what) => !red.some((pattern) => pattern.test(what))),
        [],
        'these have nothing to do with it',
      );
      assert.deepEqual(
        red.filter((pattern) => !failed.some((what) => pattern.test(what))),
        [],
        'these stayed green',
      );
      assert.equal(checked.code, 1, checked.err);
      assert.equal(checked.report!.state, 'failed');
    } finally {
      await supervised.stop();
    }
  });
}

test('there is a broken promise for each check', () => {
  assert.deepEqual([...new Set(BROKEN.map(({ only }) => only))], [...CHECKS]);
});
