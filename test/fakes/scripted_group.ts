import { requireHarness } from '../kits/harness_bench.ts';
import { Install, until } from './install.ts';
import { type FakeModel, startModel } from './model.ts';
import { Terminal } from './terminal.ts';

/** An install whose agents do what a message says: `native` with a scripted model, so that a message becomes any command in a real sandbox. */
export interface ScriptedInstall {
  install: Install;
  model: FakeModel;
  /** Its `group.yaml` with other lines than those it was made with. */
  yaml(extra: string): string;
  /** Opens a chat of the group `assistant`. */
  terminal(chat: string): Promise<Terminal>;
  stop(): Promise<void>;
}

/** `extra`: more lines of `group.yaml`. */
export async function scriptedInstall(extra: string, runtime = 'bubblewrap'): Promise<ScriptedInstall> {
  await requireHarness('native');
  const model = await startModel();
  const install = new Install();
  install.install(`runtime: ${runtime}\n`);
  const yaml = (more: string): string => `harness: native\nmodel: {upstream: "${model.origin}"}\n${more}`;
  install.group('assistant', yaml(extra));
  await install.start();
  await install.secret('anthropic', 'sk-scripted-0123456789');
  return {
    install,
    model,
    yaml,
    terminal: (chat) => Terminal.open(install.control, chat),
    async stop() {
      await install.stop();
      await model.close();
    },
  };
}

/** The next thing that is heard after `text` was said. */
export async function ask(chat: Terminal, text: string, within_ms = 60_000): Promise<string> {
  const before = chat.heard.length;
  await chat.say(text);
  const next = async (): Promise<string> => {
    // A file that it sends on the way is no answer.
    const heard = chat.heard.slice(before).find(({ file }) => file === null);
    if (heard === undefined) throw new Error('nothing yet');
    return heard.body;
  };
  return until(`an answer to ${text.slice(0, 60)}`, next, within_ms);
}

/** Runs a command in the agent's sandbox; what it printed, or why there was no answer. */
export function shell(chat: Terminal, command: string): Promise<string> {
  return ask(chat, `tool bash ${JSON.stringify({ command })}`);
}
