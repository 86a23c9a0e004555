import { z } from 'zod';

/** What Teams sends, as far as we read it. Unknown fields are fine. */

/** What is looked at before anything else: where it says that it comes from. */
export const envelope = z.object({
  type: z.string(),
  id: z.string().optional(),
  serviceUrl: z.string(),
  channelId: z.string().optional(),
});

const account = z.object({
  id: z.string().min(1),
  name: z.string().optional(),
  aadObjectId: z.string().optional(),
  role: z.string().optional(),
});

const named = z.object({ id: z.string().optional(), name: z.string().optional() }).optional();

const reaction = z.object({ type: z.string() });

export const activity = z.object({
  type: z.string(),
  timestamp: z.string().optional(),
  serviceUrl: z.string(),
  from: account,
  recipient: account.optional(),
  conversation: z.object({
    id: z.string().min(1),
    name: z.string().optional(),
    conversationType: z.string().optional(),
  }),
  channelData: z.object({ eventType: z.string().optional(), channel: named, team: named }).optional().catch(undefined),
});

/** The message, or what happens to the one with this id. */
export const written = activity.extend({
  id: z.string().min(1),
  text: z.string().nullish(),
  textFormat: z.string().nullish(),
  entities: z.array(z.unknown()).nullish(),
  attachments: z.array(z.unknown()).nullish(),
  replyToId: z.string().nullish(),
  value: z.unknown().optional(),
});

export const reacted = activity.extend({
  id: z.string().optional(),
  replyToId: z.string().min(1),
  reactionsAdded: z.array(reaction).nullish(),
  reactionsRemoved: z.array(reaction).nullish(),
});

/** What a button of ours carries. */
export const pressed = z.object({ token: z.string() });

/** A button of the newer kind: its answer is in that of the request. */
export const invoked = written.extend({
  name: z.string(),
  value: z.object({ action: z.object({ data: pressed }) }),
});

/** What a person says to a file of ours; `uploadInfo` where they say yes: the place that Microsoft has made for it. */
export const consented = activity.extend({
  name: z.literal('fileConsent/invoke'),
  value: z.object({
    action: z.enum(['accept', 'decline']),
    context: z.object({ file: z.string() }),
    uploadInfo: z
      .object({
        contentUrl: z.string(),
        name: z.string(),
        uploadUrl: z.string(),
        uniqueId: z.string(),
        fileType: z.string().nullish(),
      })
      .nullish(),
  }),
});

export const members = activity.extend({ membersAdded: z.array(z.object({ id: z.string() })).nullish() });

export const mention = z.object({
  type: z.literal('mention'),
  mentioned: z.object({ id: z.string(), name: z.string().optional() }),
  text: z.string().optional(),
});

export const quoted = z.object({
  type: z.literal('quotedReply'),
  quotedReply: z.object({ messageId: z.string(), senderId: z.string().nullish() }),
});

export const attachment = z.object({
  contentType: z.string(),
  contentUrl: z.string().nullish(),
  name: z.string().nullish(),
  content: z.unknown().optional(),
});

export const downloadInfo = z.object({ downloadUrl: z.string(), fileType: z.string().nullish() });

export const token = z.object({ access_token: z.string(), expires_in: z.coerce.number().optional() });

export const metadata = z.object({ jwks_uri: z.string() });

export const keys = z.object({
  keys: z.array(
    z.looseObject({
      kty: z.string(),
      kid: z.string(),
      /** The channels that it may sign for. */
      endorsements: z.array(z.string()).optional(),
    }),
  ),
});

export const posted = z.object({ id: z.string().min(1) });

/** `PUT` answers with or without an id. */
export const anything = z.unknown();

export const opened = z.object({ id: z.string().min(1), serviceUrl: z.string().nullish() });

export const refusal = z.object({ error: z.object({ code: z.string() }) });

export type Envelope = z.infer<typeof envelope>;
export type Activity = z.infer<typeof activity>;
export type Written = z.infer<typeof written>;
export type Reacted = z.infer<typeof reacted>;
export type Consented = z.infer<typeof consented>;
