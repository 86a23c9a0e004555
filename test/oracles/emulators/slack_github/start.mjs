import { readFileSync } from 'node:fs';
import { Server } from 'node:http';
import { createEmulator } from 'emulate';

/**
 * `start.mjs <slack|github> <address that it has for others>`, the seed on standard input: on a port of this machine alone,
 * which is told on the first line. `events`, beside the seed: where Slack's events go. The package sends them, and its front
 * door has no way to ask for them: so its Slack is given a subscription where it is set up.
 */
const [service, baseUrl] = process.argv.slice(2);
const { events, ...seed } = JSON.parse(readFileSync(0, 'utf8'));

if (events !== undefined) {
  const { slackPlugin } = await import(new URL('node_modules/emulate/dist/dist-6ZQHD4DN.js', import.meta.url));
  const { register } = slackPlugin;
  slackPlugin.register = (app, store, webhooks, ...more) => {
    webhooks.register({ url: events, events: ['*'], active: true, owner: 'slack' });
    register.call(slackPlugin, app, store, webhooks, ...more);
  };
}

// Given an address for others, it tells its own to nobody.
let port = 0;
const { listen } = Server.prototype;
Server.prototype.listen = function (...given) {
  this.once('listening', () => {
    port = this.address().port;
  });
  return listen.apply(this, given);
};
await createEmulator({ service, port: 0, hostname: '127.0.0.1', baseUrl, seed });
process.stdout.write(`${port}\n`);
