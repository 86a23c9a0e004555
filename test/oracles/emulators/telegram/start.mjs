import { TelegramServer } from 'telegram-test-api/lib/telegramServer.js';

/** `start.mjs`: on a port of this machine alone, which is told on the first line. Kept for an hour, not for a minute. */
const server = new TelegramServer({ host: '127.0.0.1', storeTimeout: 3600 });
process.on('disconnect', () => process.exit());
server.config.port = 0; // its constructor takes that for none given
await server.start();
process.stdout.write(`${server.server.address().port}\n`);
