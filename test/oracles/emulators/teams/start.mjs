import dns from 'node:dns';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * `start.mjs <where it calls the bot> <address that it has for the bot>`, its settings (YAML) on standard input: on a port of
 * this machine alone, which is told on the first line. By itself it listens everywhere, opens a browser, and tells Microsoft
 * how it is used, also where that is turned off: none of that happens here.
 */
const [endpoint, service] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
const folder = mkdtempSync(join(tmpdir(), 'playground-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGTERM', () => process.exit());
writeFileSync(join(folder, '.m365agentsplayground.yml'), readFileSync(0));
process.chdir(folder);
process.env.TEAMSAPPTESTER_BROWSER = 'none';
for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name];

const { listen } = Server.prototype;
Server.prototype.listen = function (port, done) {
  return listen.call(this, { port, host: '127.0.0.1' }, done);
};
const { lookup } = dns;
dns.lookup = (name, options, done = options) => {
  if (name === 'localhost' || name === '127.0.0.1') return lookup(name, options, done);
  process.nextTick(done, Object.assign(new Error('nothing leaves this machine'), { code: 'ENOTFOUND' }));
};
const { write } = process.stdout;
process.stdout.write = (text, ...more) => {
  const [, port] = /^Listening on (\d+)\n$/.exec(text) ?? [];
  return port === undefined ? true : write.call(process.stdout, `${port}\n`, ...more);
};
process.argv.splice(2, process.argv.length, '-e', endpoint, '-c', 'msteams', '--su', service, '-p', '0', '--dt');
createRequire(import.meta.url)('@microsoft/m365agentsplayground/dist/index.js').start();
