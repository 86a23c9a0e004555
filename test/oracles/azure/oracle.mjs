import { ManagedIdentityCredential } from '@azure/identity';
import { CryptographyClient } from '@azure/keyvault-keys';

/** `oracle.mjs wrapKey|unwrapKey <url of a key>`: base64 on standard input, base64 on standard output, by Azure's own libraries. */
const [act, key] = process.argv.slice(2);
let text = '';
for await (const part of process.stdin) text += part;
const options = { disableChallengeResourceVerification: true, retryOptions: { maxRetries: 0 } };
const client = new CryptographyClient(key, new ManagedIdentityCredential(), options);
const { result } = await client[act]('RSA-OAEP-256', Buffer.from(text, 'base64'));
process.stdout.write(Buffer.from(result).toString('base64'));
