import { z } from 'zod';

/**
 * What a secret is besides its value: a kind, which says how it is given to a service, and the hosts that it may go to. Set by the
 * operator only. No part of it is secret.
 */

/** Names that say how a message is read, or that two neighbours use between themselves: no secret goes under one. */
const FRAMING = new Set(
  `host connection keep-alive proxy-connection te trailer transfer-encoding upgrade http2-settings expect content-length
   content-type content-encoding accept-encoding`.split(/\s+/),
);

const headerSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be the name of a header in lower case, such as "x-api-key"')
  .refine((name) => !FRAMING.has(name), 'is a header that a secret cannot have');

const formatSchema = z
  .string()
  .max(200)
  .regex(/^[ -~]*$/, 'must be plain text')
  .refine((text) => text.split('{}').length === 2, 'must have {} once, where the secret goes');

const tokenUrlSchema = z
  .string()
  .max(500)
  .regex(/^https:\/\/[a-z0-9.:-]+\/[!-~]*$/, 'must be an https URL with a path, in lower case')
  .refine((text) => URL.canParse(text) && !/[?#\\@]/.test(text), 'must be a plain URL');

/** How it is given to a service. */
export const formSchema = z.discriminatedUnion('kind', [
  /** As the model's provider wants it: `x-api-key` or `authorization: Bearer`. For models only. */
  z.strictObject({ kind: z.literal('model') }),
  z.strictObject({ kind: z.literal('bearer') }),
  z.strictObject({ kind: z.literal('header'), header: headerSchema, format: formatSchema }),
  /** `authorization: Basic`; a user's name has no colon (RFC 7617). */
  z.strictObject({
    kind: z.literal('basic'),
    user: z.string().regex(/^[!-9;-~]{1,100}$/, 'must be a plain user name'),
  }),
  /** A parameter of the query, added after the rest was matched. */
  z.strictObject({
    kind: z.literal('query'),
    parameter: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be the plain name of a parameter'),
  }),
  /** The value is `oauthCredentials`; what a service gets is an access token that the gateway has fetched with them. */
  z.strictObject({ kind: z.literal('oauth2'), token_url: tokenUrlSchema }),
  /** The only kind that the host is ever given: the token of a channel. */
  z.strictObject({ kind: z.literal('channel') }),
]);
export type SecretForm = z.infer<typeof formSchema>;
export type SecretKind = SecretForm['kind'];

const hostSchema = z
  .string()
  .max(260)
  .regex(
    /^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9]\d{0,4})?$/,
    'must be a host such as "api.github.com" or "wiki.lan:8443"',
  )
  .transform((text) => text.replace(/:443$/, ''));

export const termsSchema = z
  .strictObject({ form: formSchema, hosts: z.array(hostSchema).max(50) })
  .superRefine(({ form: { kind }, hosts }, context) => {
    const refuse = (message: string): void => context.addIssue({ code: 'custom', path: ['hosts'], message });
    if (kind === 'channel' && hosts.length > 0) refuse('a channel’s token goes to the host process, and to no service');
    if (kind !== 'channel' && kind !== 'model' && hosts.length === 0)
      refuse(`a secret of kind ${kind} needs the hosts that it may go to`);
  });
export type SecretTerms = z.infer<typeof termsSchema>;

/** Of a secret that was set without any: for a model, wherever an applied authority says that it is. */
export const MODEL_TERMS: SecretTerms = { form: { kind: 'model' }, hosts: [] };

const credential = z.string().min(8).max(20_000);
/** The value of a secret of kind `oauth2`, as JSON. */
export const oauthCredentials = z.strictObject({
  client_id: z.string().min(1).max(1000),
  client_secret: credential,
  refresh_token: credential,
});
export type OauthCredentials = z.infer<typeof oauthCredentials>;
