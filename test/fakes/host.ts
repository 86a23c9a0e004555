import { describeError, exitCodeOf } from '../../src/base/errors.ts';
import type { Markup } from '../../src/channels/dialects/dialect.ts';
import { KINDS } from '../../src/channels/kinds.ts';
import { startHost } from '../../src/host.ts';
import { FAKE_KIND } from './fake_kind.ts';
import { PlatformChannel } from './platform_channel.ts';

/**
 * The host as it ships, with one more channel: the fake platform at `GLASS_TEST_PLATFORM`; with `GLASS_TEST_DRIVER` only
 * with one more kind of channel, for `glass.yaml`.
 */
process.umask(0o077);
const url = process.env['GLASS_TEST_PLATFORM'];
const driver = process.env['GLASS_TEST_DRIVER'] !== undefined;
const markup = (process.env['GLASS_TEST_MARKUP'] ?? 'markdown') as Markup;
try {
  const host = await startHost({
    env: process.env,
    channels: () => (url === undefined || driver ? [] : [new PlatformChannel(url, markup)]),
    kinds: [...KINDS, FAKE_KIND],
    onStopped: () => process.exit(0),
  });
  process.on('SIGTERM', () => void host.stop('SIGTERM'));
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exit(exitCodeOf(error));
}
