/** The library that the driver is built on, for its fake: of the driver's own packages. */
export { Boom } from '../../../src/channels/whatsapp-linked/node_modules/@hapi/boom/lib/index.js';
export * from '../../../src/channels/whatsapp-linked/node_modules/@whiskeysockets/baileys/lib/index.js';
