import { z } from 'zod';
import {
  CARD_BODY_CHARS_MAX,
  CARD_FIELDS_MAX,
  CARD_TITLE_CHARS_MAX,
  CARD_VALUE_CHARS_MAX,
} from '../base/limits/talk.ts';
import { visible, visibleLines } from '../base/text.ts';
import type { Card } from '../channels/channel.ts';

/** The tool `card`: a few facts that belong together, as a card where there are some and as a text everywhere. */
const title = z.string().trim().min(1).max(CARD_TITLE_CHARS_MAX);

export const CARD_INPUT = z.strictObject({
  title,
  text: z.string().trim().max(CARD_BODY_CHARS_MAX).default(''),
  fields: z
    .array(z.strictObject({ name: title, value: z.string().trim().max(CARD_VALUE_CHARS_MAX) }))
    .max(CARD_FIELDS_MAX)
    .default([]),
  to: z.string().min(1).max(400).optional(),
});

/** Nothing in it can hide, or move what stands beside it. */
export function cardOf({ title, text, fields }: Omit<z.infer<typeof CARD_INPUT>, 'to'>): Card {
  return {
    title: visible(title),
    text: visibleLines(text),
    fields: fields.map(({ name, value }) => ({ name: visible(name), value: visibleLines(value) })),
  };
}

/** What it says, for every channel. */
export function cardBody({ title, text, fields }: Card): string {
  return [title, ...(text === '' ? [] : [text]), ...fields.map(({ name, value }) => `${name}: ${value}`)].join('\n');
}
