import { z } from 'zod';

/** What Meta sends, as far as we read it. Unknown fields are fine: each version brings some. */

export const envelope = z.object({
  object: z.literal('whatsapp_business_account'),
  entry: z.array(z.object({ id: z.string(), changes: z.array(z.object({ field: z.string(), value: z.unknown() })) })),
});

/** Of a change of the field `messages`. */
export const change = z.object({
  metadata: z.object({ phone_number_id: z.string() }),
  contacts: z
    .array(z.object({ wa_id: z.string(), profile: z.object({ name: z.string() }).optional() }))
    .catch([])
    .default([]),
  messages: z.array(z.unknown()).default([]),
  statuses: z.array(z.unknown()).default([]),
});

const media = z.object({
  id: z.string(),
  mime_type: z.string().default(''),
  caption: z.string().optional(),
  filename: z.string().optional(),
});

/** What an edited message says now. */
const said = {
  type: z.string(),
  text: z.object({ body: z.string() }).optional(),
  image: media.optional(),
  video: media.optional(),
  document: media.optional(),
  audio: media.optional(),
  sticker: media.optional(),
};

export const message = z.object({
  ...said,
  /** The person's number. */
  from: z.string().regex(/^\d{1,20}$/),
  id: z.string().min(1),
  /** Seconds since the epoch. */
  timestamp: z.string().regex(/^\d{1,12}$/),
  /** Said in a group of WhatsApp's. */
  group_id: z.string().optional(),
  context: z.object({ id: z.string().optional() }).optional(),
  location: z
    .object({
      latitude: z.number(),
      longitude: z.number(),
      name: z.string().optional(),
      address: z.string().optional(),
    })
    .optional(),
  contacts: z
    .array(
      z.object({
        name: z.object({ formatted_name: z.string() }),
        phones: z.array(z.object({ phone: z.string().optional() })).optional(),
      }),
    )
    .optional(),
  reaction: z.object({ message_id: z.string(), emoji: z.string().optional() }).optional(),
  button: z.object({ text: z.string() }).optional(),
  interactive: z
    .object({
      type: z.string(),
      button_reply: z.object({ id: z.string(), title: z.string() }).optional(),
      list_reply: z.object({ id: z.string(), title: z.string() }).optional(),
    })
    .optional(),
  edit: z.object({ original_message_id: z.string(), message: z.object(said) }).optional(),
  revoke: z.object({ original_message_id: z.string() }).optional(),
});

/** To name what cannot be read. */
export const named = z.object({
  id: z.string().optional().catch(undefined),
  type: z.string().optional().catch(undefined),
});

export const status = z.object({
  id: z.string(),
  status: z.string(),
  timestamp: z.string().optional(),
  recipient_id: z.string().optional(),
  errors: z.array(z.object({ code: z.int(), title: z.string().default('') })).optional(),
});

export const number = z.object({ display_phone_number: z.string(), verified_name: z.string().optional() });
export const sent = z.object({ messages: z.tuple([z.object({ id: z.string() })]).rest(z.unknown()) });
export const done = z.object({ success: z.literal(true) });
export const uploaded = z.object({ id: z.string() });
export const mediaInfo = z.object({ url: z.string(), file_size: z.coerce.number().optional() });

export type WaMessage = z.infer<typeof message>;
export type WaMedia = z.infer<typeof media>;
export type WaStatus = z.infer<typeof status>;
export type WaChange = z.infer<typeof change>;
