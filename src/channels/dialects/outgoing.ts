import { DIALECT_MARKS_MAX, DIALECT_PARSE_CHARS_MAX } from '../../base/limits/messages.ts';
import { cutText } from '../chunks.ts';
import type { Dialect, Markup } from './dialect.ts';
import { discord } from './discord.ts';
import { githubMarkdown } from './github.ts';
import { plain } from './plain.ts';
import { harmless, marksIn, render } from './render.ts';
import { slackMrkdwn } from './slack_mrkdwn.ts';
import { teams } from './teams.ts';
import { telegramHtml } from './telegram_html.ts';
import { whatsapp } from './whatsapp.ts';

/** One message to a platform: its text in the platform's dialect, and the Markdown that it says. */
export interface Piece {
  body: string;
  source: string;
}

/** What a chat takes. */
export interface Takes {
  markup: Markup;
  /** Characters of one message, markup included. */
  text_max: number;
}

/**
 * Markdown as the messages that it becomes. It is cut first and each piece is converted for itself, so that no tag, entity
 * or character is cut through; a piece that grows beyond the limit, or has more marks than are read, is cut again. Nothing
 * is left out.
 */
export function piecesOf(markdown: string, { markup, text_max }: Takes): Piece[] {
  const room = writerOf(markup) === null ? text_max : Math.min(text_max, DIALECT_PARSE_CHARS_MAX);
  const pieces = cutText(markdown, room).flatMap((source) => fitting(source, markup, text_max));
  // Lines without a word between two cuts: every platform refuses a message of nothing.
  const said = pieces.filter(({ source }) => source.trim() !== '');
  return said.length > 0 ? said : pieces.slice(0, 1);
}

function fitting(source: string, markup: Markup, max: number): Piece[] {
  const half = Math.ceil(source.length / 2);
  const halved = (): Piece[] => cutText(source, half).flatMap((part) => fitting(part, markup, max));
  // Without a line to end at, a cut may go through what is marked.
  const isCrowded = writerOf(markup) !== null && marksIn(source) > DIALECT_MARKS_MAX && source.includes('\n');
  if (isCrowded && half >= CUT_CHARS_MIN) return halved();
  const body = inDialect(source, markup);
  if (body.length <= max && (body.trim() !== '' || source.trim() === '')) return [{ body, source }];
  if (half >= CUT_CHARS_MIN) return halved();
  return asWords(source, markup, max);
}

/** Below this a piece is not cut as Markdown any more. */
const CUT_CHARS_MIN = 64;

/** The last resort: no markup at all, character by character. */
function asWords(source: string, markup: Markup, max: number): Piece[] {
  const pieces: Piece[] = [];
  let open = { body: '', source: '' };
  for (const char of source) {
    const body = textIn(markup, open.source + char);
    if (body.length > max) {
      pieces.push(open);
      open = { body: textIn(markup, char), source: char };
    } else open = { body, source: open.source + char };
  }
  return [...pieces, open];
}

/** Words that are no Markdown, cut so that each piece fits once it is written in the dialect. */
export function wordsFor(text: string, takes: Takes): { body: string; source: null }[] {
  const { markup, text_max } = takes;
  return cutText(text, text_max).flatMap((body) => {
    const half = Math.ceil(body.length / 2);
    if (textIn(markup, body).length <= text_max || half < CUT_CHARS_MIN) return [{ body, source: null }];
    return wordsFor(body, { markup, text_max: half }).flatMap((part) => wordsFor(part.body, { markup, text_max }));
  });
}

/** A text of the host itself, which is no Markdown, as this dialect writes it. */
export function textIn(markup: Markup, text: string): string {
  const dialect = writerOf(markup);
  if (dialect !== null) return dialect.text(harmless(text));
  return markup === 'github' ? githubMarkdown(text) : text;
}

/** Markdown as this dialect writes it. */
export function inDialect(markdown: string, markup: Markup): string {
  const dialect = writerOf(markup);
  if (dialect !== null) return render(markdown, dialect);
  return markup === 'github' ? githubMarkdown(harmless(markdown)) : markdown;
}

/** Null: the dialect is Markdown. */
function writerOf(markup: Markup): Dialect | null {
  switch (markup) {
    case 'markdown':
    case 'github':
      return null;
    case 'telegram-html':
      return telegramHtml;
    case 'slack-mrkdwn':
      return slackMrkdwn;
    case 'discord':
      return discord;
    case 'teams':
      return teams;
    case 'whatsapp':
      return whatsapp;
    case 'plain':
      return plain;
    default:
      return markup satisfies never;
  }
}
