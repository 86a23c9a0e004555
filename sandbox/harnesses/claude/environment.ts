import { NODE_PROXY_VARIABLE, proxyEnv } from '../../../src/protocol/proxy.ts';
import type { DriverOptions } from './wire.ts';

/** Everything that the Claude process finds in its environment. Its shell tool sees it too: no secrets. */

/** Retries of a failed request: a person waits, so few. */
const RETRIES = '1';

export const MARK_VARIABLE = 'GLASS_CLAUDE';

export function processEnv(options: DriverOptions, baseUrl: string): Record<string, string> {
  const proxy = [...Object.keys(proxyEnv()), NODE_PROXY_VARIABLE];
  const passed = ['PATH', 'USER', 'LANG', 'TMPDIR', 'TZ', ...proxy].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(passed),
    HOME: options.home,
    CLAUDE_CONFIG_DIR: options.config,
    ANTHROPIC_BASE_URL: baseUrl,
    ANTHROPIC_API_KEY: 'injected-by-the-gateway',
    CLAUDE_CODE_MAX_RETRIES: RETRIES,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    // A task in the background would begin a turn of its own when it ends.
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
    // Else a stream that fails is asked for again as a whole.
    CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK: '1',
    [MARK_VARIABLE]: options.mark,
    // It refuses to bypass permissions as root unless it is told that this is a sandbox.
    ...(process.getuid?.() === 0 ? { IS_SANDBOX: '1' } : {}),
  };
}
