import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { ChannelKind } from '../channels/kind.ts';
import { driverPackages, KINDS, kindOf } from '../channels/kinds.ts';
import type { ChannelShown } from '../operations/channels.ts';
import { installPackages } from '../operations/package_install.ts';
import { linkChannel } from './channel_link.ts';
import { chatToTry, knowOwner } from './channel_owner.ts';
import { makeSecrets, takeSecrets } from './channel_secrets.ts';
import { completed, type Given, missingOf, settingOf } from './channel_settings.ts';
import { runTest } from './channel_test.ts';
import { confirmed } from './confirm.ts';
import { ControlClient } from './control_client.ts';
import type { Input } from './hidden.ts';
import { bold, type Io } from './io.ts';
import { secretNames } from './secret.ts';

/** What `glass channel add` was asked for. */
export interface Wanted {
  kind: ChannelKind;
  name: string;
  /** As far as they were given. */
  settings: Given;
  /** Tokens come on standard input, one `name=value` a line, and nobody is asked anything. */
  stdin: boolean;
  /** What there is to warn of is accepted. */
  yes: boolean;
}

/** Throws `OperatingError` before anything is done for what cannot be. What is missing is no reason yet: the steps say where it is found. */
export function wantedOf(
  [word, ...more]: string[],
  values: Record<string, string>,
  set: string[],
  { stdin, yes }: { stdin: boolean; yes: boolean },
): Wanted {
  const all = KINDS.map(({ kind }) => kind).join(', ');
  if (word === undefined || more.length > 0) throw new OperatingError('usage', `which kind: one of ${all}`);
  const name = values['name'] ?? word;
  const kind = kindOf(KINDS, name, word);
  const settings = Object.fromEntries(set.map((pair) => settingOf(kind, pair)));
  missingOf(kind, name, settings);
  return { kind, name, settings, stdin, yes };
}

/**
 * What a person does on the platform, the settings that are missing, the packages, the tokens into the vault, the channel, its link, its owner, and one message
 * each way. Returns the exit code: 1 when a step failed; all that was done before it stays, and it can be said again.
 */
export async function addChannel(wanted: Wanted, paths: Paths, io: Io, input: Input): Promise<number> {
  const { kind, name } = wanted;
  const asks = input.isTTY === true && !wanted.stdin;
  if (kind.warning !== undefined) {
    io.err(kind.warning);
    if (!wanted.yes && !(await confirmed(`Add ${name} all the same?`, '--yes'))) return 1;
  }
  const steps = io.json ? [] : kind.steps({ name, settings: wanted.settings });
  for (const [at, step] of steps.entries()) io.out(`${bold(io, `${at + 1}.`)} ${step}`);
  const settings = await completed(kind, name, wanted.settings, asks ? input : null);
  const packages = driverPackages(paths.root, kind);
  if (packages !== null) await installPackages(paths.root, packages, io.err);
  const known = await secretNames(paths); // before the prompt: nobody types a token to hear that nobody listens
  await makeSecrets(name, kind.secrets, known, paths);
  await takeSecrets({ channel: name, settings, known }, kind.secrets, { input, asks }, paths);
  const client = new ControlClient(paths.controlSocket);
  try {
    const shown = await client.call<ChannelShown>('channel_add', { name, kind: kind.kind, settings });
    if (!io.json) io.out(`${name} is in glass.yaml.`);
    if (kind.linked === true && !(await linkChannel(client, name, io))) return 1;
    const knows = asks && (await knowOwner(client, kind, shown.name, input, io));
    const to = knows && kind.person !== undefined ? await chatToTry(kind, settings, input) : null;
    return await runTest(client, name, { reply: knows && (kind.person === undefined || to !== null), to }, io);
  } finally {
    client.close();
  }
}
