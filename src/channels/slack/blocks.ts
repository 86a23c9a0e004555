import type { Button, Card } from '../channel.ts';
import { cutText } from '../chunks.ts';
import { slackMrkdwn } from '../dialects/slack_mrkdwn.ts';
import { BUTTON_CHARS_MAX, FIELD_CHARS_MAX, ROW_BUTTONS_MAX, SECTION_CHARS_MAX, SECTION_FIELDS_MAX } from './limits.ts';

/** Block Kit, where a message is more than text. Slack shows blocks instead of the text, which stays for notifications. */
export type Block = Record<string, unknown>;

/** Undefined: the text says it all. */
export function blocksOf(body: string, card: Card | undefined, buttons: Button[] | undefined): Block[] | undefined {
  if (card === undefined && buttons === undefined) return undefined;
  return [...(card === undefined ? sections(body) : cardBlocks(card)), ...rows(buttons ?? [])];
}

function sections(body: string): Block[] {
  return cutText(body, SECTION_CHARS_MAX)
    .filter((text) => text.trim() !== '')
    .map((text) => ({ type: 'section', text: { type: 'mrkdwn', text } }));
}

/** What an agent wrote is plain text here, but for the names of fields: they are bold where there is room to escape them. */
function cardBlocks({ title, text, fields }: Card): Block[] {
  const blocks: Block[] = [{ type: 'header', text: plain(title) }];
  if (text.trim() !== '') blocks.push({ type: 'section', text: plain(text) });
  for (let at = 0; at < fields.length; at += SECTION_FIELDS_MAX)
    blocks.push({ type: 'section', fields: fields.slice(at, at + SECTION_FIELDS_MAX).map(field) });
  return blocks;
}

function field({ name, value }: Card['fields'][number]): object {
  const text = `${slackMrkdwn.strong(slackMrkdwn.text(name))}\n${slackMrkdwn.text(value)}`;
  // Nothing escapes these: what they mark would be shown without them.
  const isMarked = /[*_~`]|:[\w+-]+:/.test(`${name}\n${value}`);
  return text.length <= FIELD_CHARS_MAX && !isMarked ? { type: 'mrkdwn', text } : plain(`${name}\n${value}`);
}

function rows(buttons: Button[]): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < buttons.length; at += ROW_BUTTONS_MAX)
    blocks.push({ type: 'actions', elements: buttons.slice(at, at + ROW_BUTTONS_MAX).map(button) });
  return blocks;
}

function button({ token, label }: Button): object {
  return { type: 'button', action_id: token, value: token, text: plain(label.slice(0, BUTTON_CHARS_MAX)) };
}

function plain(text: string): object {
  return { type: 'plain_text', text, emoji: false };
}
