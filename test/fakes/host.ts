import { describeError, exitCodeOf } from '../../src/base/errors.ts';
import type { Markup } from '../../src/channels/dialects/dialect.ts';
import { KINDS } from '../../src/channels/kinds.ts';
import { startHost } from '../../src/host.ts';
import { FAKE_KIND } from './fake_kind.ts';
import { DeafChannel, PlatformChannel } from './platform_channel.ts';

/**
 * The host as it ships, with one more channel: the fake platform at `GLASS_TEST_PLATFORM`; with `GLASS_TEST_DEAF` one that
 * cannot start, too; with `GLASS_TEST_DRIVER` none, but the platform as one more kind for `glass.yaml`.
 */
process.umask(0o077);
const url = process.env['GLASS_TEST_PLATFORM'];
const inThread = process.env['GLASS_TEST_DRIVER'] !== undefined;
const deaf = process.env['GLASS_TEST_DEAF'] === undefined ? [] : [new DeafChannel()];
const markup = (process.env['GLASS_TEST_MARKUP'] ?? 'markdown') as Markup;
try {
  const host = await startHost({
    env: process.env,
    channels: () => [...deaf, ...(url === undefined || inThread ? [] : [new PlatformChannel(url, markup)])],
    kinds: [...KINDS, FAKE_KIND],
    onStopped: () => process.exit(0),
  });
  process.on('SIGTERM', () => void host.stop('SIGTERM'));
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exit(exitCodeOf(error));
}
