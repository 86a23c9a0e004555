import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net, { isIP } from 'node:net';

/**
 * The internet's names, as a test wants them: loaded before a process with `--import`. `GLASS_TEST_NAMES` is JSON, a name to
 * its addresses; every other name does not exist, so that no test ever asks a name server.
 * `GLASS_TEST_PLACES` is JSON, a name to the port of this machine where its port 443 is: the name is looked up and judged as any, and
 * what is dialled is here.
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

type Dial = { host?: string; port?: number | string; lookup?: net.LookupFunction };
const places = JSON.parse(process.env['GLASS_TEST_PLACES'] ?? '{}') as Record<string, number>;
const connect = net.Socket.prototype.connect as (this: net.Socket, options: Dial, ...more: unknown[]) => net.Socket;

net.Socket.prototype.connect = function (this: net.Socket, options: Dial, ...more: unknown[]) {
  const port = places[options?.host ?? ''];
  if (port === undefined || Number(options.port) !== 443) return connect.call(this, options, ...more);
  const lookup: net.LookupFunction = (host, asked, callback) =>
    (options.lookup ?? (dns.lookup as unknown as net.LookupFunction))(host, asked, (error, found, family) => {
      if (error !== null) callback(error, found, family);
      else if (asked.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
      else callback(null, '127.0.0.1', 4);
    });
  return connect.call(this, { ...options, port, lookup }, ...more);
} as typeof net.Socket.prototype.connect;
syncBuiltinESMExports();
