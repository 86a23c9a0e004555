import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { isIP } from 'node:net';

/**
 * The internet's names, as a test wants them: loaded before a process with `--import`. `GLASS_TEST_NAMES` is JSON, a name to
 * its addresses; every other name does not exist, so that no test ever asks a name server.
 */
const names = JSON.parse(process.env['GLASS_TEST_NAMES'] ?? '{}') as Record<string, string[]>;

type Found = { address: string; family: number }[];
type Callback = (error: Error | null, found?: Found | string, family?: number) => void;

dns.lookup = ((host: string, options: { all?: boolean } | Callback, done?: Callback) => {
  const callback = typeof options === 'function' ? options : done!;
  const all = typeof options === 'object' && options.all === true;
  const literal = isIP(host) === 0 ? [] : [host];
  const found = (names[host] ?? (host === 'localhost' ? ['127.0.0.1'] : literal)).map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  setImmediate(() => {
    if (found.length === 0) callback(Object.assign(new Error(`no name ${host}`), { code: 'ENOTFOUND' }));
    else if (all) callback(null, found);
    else callback(null, found[0]!.address, found[0]!.family);
  });
}) as unknown as typeof dns.lookup;
syncBuiltinESMExports();
