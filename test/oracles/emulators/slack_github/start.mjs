import { readFileSync } from 'node:fs';
import { Server } from 'node:http';
import { createEmulator } from 'emulate';

/**
 * `start.mjs <slack|github> <address that it has for others>`, the seed on standard input: on a port of this machine alone,
 * which is told on the first line. `events`, beside the seed: where Slack's events go.
 */
const [service, baseUrl] = process.argv.slice(2);
process.on('disconnect', () => process.exit());
const { events, ...seed } = JSON.parse(readFileSync(0, 'utf8'));

const part = (name) => import(new URL(`node_modules/emulate/dist/${name}`, import.meta.url));

/** Where a service is set up: the front door of the package has no way to what is done there. */
function atSetup(plugin, act) {
  const { register } = plugin;
  plugin.register = (app, store, webhooks, ...more) => {
    act(app, webhooks);
    register.call(plugin, app, store, webhooks, ...more);
  };
}

if (service === 'slack') {
  const { slackPlugin } = await part('dist-6ZQHD4DN.js');
  // Its Slack sends events, and nobody can ask for them.
  atSetup(slackPlugin, (_, webhooks) =>
    webhooks.register({ url: events, events: ['*'], active: true, owner: 'slack' }),
  );
} else {
  const { githubPlugin } = await part('dist-DWLNEG6M.js');
  // Its routes of one issue and of one pull request hide those of all comments, unless their number has to be one.
  atSetup(githubPlugin, (app) => {
    for (const method of ['get', 'post', 'put', 'patch', 'delete']) {
      const route = app[method];
      app[method] = (path, ...handlers) =>
        route.call(app, path.replace(/:(issue|pull)_number(?!\{)/, ':$1_number{[0-9]+}'), ...handlers);
    }
  });
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
