import type { Button, Card } from '../channel.ts';
import { ROW_BUTTONS_MAX } from './limits.ts';

/** Adaptive Cards, where a message is more than text. What agents write is in text runs: Teams reads no markup in these. */
type Element = Record<string, unknown>;

/** `text`: what stands above the buttons where there is no card; plain. */
export function attachmentsOf(card: Card | undefined, buttons: Button[] | undefined, text: string): object[] {
  if (card === undefined && buttons === undefined) return [];
  const body = [...(card === undefined ? lines(text) : cardElements(card)), ...rows(buttons ?? [])];
  const content = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
  };
  return [{ contentType: 'application/vnd.microsoft.card.adaptive', content: { ...content, body } }];
}

function cardElements({ title, text, fields }: Card): Element[] {
  return [
    block([{ text: title, weight: 'bolder', size: 'medium' }]),
    ...(text.trim() === '' ? [] : lines(text)),
    ...fields.flatMap(({ name, value }) => [block([{ text: name, weight: 'bolder' }]), ...lines(value, 'none')]),
  ];
}

/** A run is one line. */
function lines(text: string, spacing = 'small'): Element[] {
  return text.split('\n').map((line, at) => ({ ...block([{ text: line }]), spacing: at === 0 ? spacing : 'none' }));
}

function block(runs: Element[]): Element {
  return { type: 'RichTextBlock', inlines: runs.map((run) => ({ type: 'TextRun', ...run })) };
}

function rows(buttons: Button[]): Element[] {
  const sets: Element[] = [];
  for (let at = 0; at < buttons.length; at += ROW_BUTTONS_MAX) {
    const actions = buttons.slice(at, at + ROW_BUTTONS_MAX).map(action);
    sets.push({ type: 'ActionSet', actions });
  }
  return sets;
}

function action({ token, label }: Button): Element {
  return { type: 'Action.Submit', title: label, data: { token } };
}
