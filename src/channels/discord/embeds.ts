import type { Button, Card } from '../channel.ts';
import { discord } from '../dialects/discord.ts';
import {
  BUTTON_CHARS_MAX,
  EMBED_CHARS_MAX,
  EMBED_NAME_CHARS_MAX,
  EMBED_TEXT_CHARS_MAX,
  EMBED_VALUE_CHARS_MAX,
  ROW_BUTTONS_MAX,
} from './limits.ts';

/** Components: rows of buttons. */
export function rowsOf(buttons: readonly Button[]): object[] {
  const rows: object[] = [];
  for (let at = 0; at < buttons.length; at += ROW_BUTTONS_MAX)
    rows.push({ type: 1, components: buttons.slice(at, at + ROW_BUTTONS_MAX).map(button) });
  return rows;
}

function button({ token, label }: Button): object {
  return { type: 2, style: 2, custom_id: token, label: label.slice(0, BUTTON_CHARS_MAX) };
}

/** Null where it is more than an embed holds once it is escaped: then the text says it. */
export function embedOf({ title, text, fields }: Card): object | null {
  const shown = {
    title: discord.text(title),
    description: discord.text(text),
    fields: fields.map(({ name, value }) => ({ name: discord.text(name), value: discord.text(value) })),
  };
  const fits =
    shown.title.length <= EMBED_NAME_CHARS_MAX &&
    shown.description.length <= EMBED_TEXT_CHARS_MAX &&
    shown.fields.every(
      ({ name, value }) => name.length <= EMBED_NAME_CHARS_MAX && value.length <= EMBED_VALUE_CHARS_MAX,
    );
  const all = [shown.title, shown.description, ...shown.fields.flatMap(({ name, value }) => [name, value])];
  return fits && all.join('').length <= EMBED_CHARS_MAX ? shown : null;
}
