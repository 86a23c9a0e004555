import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../fakes/install.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { ask, scriptedInstall, shell } from '../fakes/scripted_group.ts';
import { rows, sessionOf } from '../fakes/terminal.ts';

/** The cap of a session's state, in a real sandbox: also where the workspace has a file system of its own. */

const FILL = 'dd if=/dev/zero of=/state/fill bs=1M count=300 2>/dev/null';

test('a state that is over its cap ends its session, and the next turn begins with an empty one and remembers', async (context) => {
  const made = await scriptedInstall('limits: {memory: 512MiB}\n');
  const { install, model } = made;
  context.after(async () => {
    install.explain(context);
    await made.stop();
  });
  const chat = await made.terminal('full');
  await ask(chat, 'remember the word pomegranate');
  const session = sessionOf(install, 'full');
  const ends = (): string[] =>
    rows<{ data: string }>(
      install,
      "SELECT data FROM events WHERE kind = 'sandbox.ended' AND session_id = ?",
      Number(session.slice(1)),
    ).map(({ data }) => JSON.parse(data).reason);
  // What fills it outlives its turn, as an agent that means harm would do it: once it has left the command's process group.
  await shell(chat, `setsid sh -c ': > left; ${FILL}' >/dev/null 2>&1 & until [ -e left ]; do sleep 0.1; done`);
  const ended = async (): Promise<string> => {
    const [reason] = ends();
    if (reason === undefined) throw new Error('it goes on');
    return reason;
  };
  assert.equal(await until('its end', ended, 90_000), 'the session’s state is larger than 256 MiB');
  assert.doesNotMatch(await shell(chat, 'ls -A /state'), /fill/);
  assert.ok(model.requests.at(-1)!.body.includes('pomegranate'), 'the conversation was not given to it again');
  assert.ok(existsSync(`${install.paths.session(session).state}.set-aside/fill`));
});

test('the same holds for an ordinary user', { skip: cannotDrop() }, () => {
  passesForOrdinaryUser(import.meta.url);
});
