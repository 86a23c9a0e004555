import type { Trace } from '../evidence/trace.ts';
import type { Lane, TraceSpan } from '../evidence/trace_spans.ts';
import { type Html, html } from './html.ts';
import { LANE_NAMES, showMs } from './trace_words.ts';

/**
 * The bars of a trace: a row for what lasted at the same time in a lane. Long stretches in which nothing begins or ends, a night
 * before somebody decides, are cut out and say so; all else is to scale.
 */
export function chartOf({ spans, steps, sums }: Trace): Html {
  const first = steps[0]?.at_us ?? 0;
  const marks = [...steps.map(({ at_us }) => at_us), ...spans.flatMap(({ from_us, to_us }) => [from_us, to_us])];
  const scale = scaleOf(
    marks.map((at) => at - first),
    sums.total_us,
  );
  const lanes = (Object.keys(LANE_NAMES) as Lane[]).map((lane) => ({
    lane,
    own: spans.filter((span) => span.lane === lane),
  }));
  return html`<div class="lanes">
<div class="lane axis"><span></span><svg height="18" aria-hidden="true">${scale.ticks.map(tickLabel)}${scale.cuts.map(cutLabel)}</svg></div>
${lanes
  .filter(({ own }) => own.length > 0)
  .map(({ lane, own }) =>
    rowsOf(own).map(
      (
        row,
        at,
      ) => html`<div class="lane"><span>${at === 0 ? LANE_NAMES[lane] : ''}</span><svg height="22" role="img" aria-label="${LANE_NAMES[lane]}">${scale.ticks.map(({ x }) => html`<line class="grid" x1="${x}%" x2="${x}%" y1="0" y2="22"/>`)}${scale.cuts.map(cutOf)}${row.map((span, n) => barOf(span, row[n + 1], scale, first))}</svg></div>
`,
    ),
  )}
</div>`;
}

export interface Scale {
  /** Percent of the width, of microseconds since the start. */
  x(us: number): number;
  ticks: { x: number; label: string }[];
  cuts: { x: number; width: number; label: string }[];
}

/** Nothing shorter is cut out. */
const CUT_US = 30_000_000;
/** Nor what is not so many times as long as all shorter stretches together. */
const CUT_TIMES = 10;
const CUT_WIDTH = 7;
const TICKS = 8;

export function scaleOf(marks: number[], total: number): Scale {
  const points = [...new Set([0, ...marks.filter((at) => at > 0 && at < total), total])].sort((a, b) => a - b);
  const gaps = points.slice(1).map((to, at) => ({ from: points[at]!, us: to - points[at]! }));
  const cut = cutFrom(gaps.map(({ us }) => us));
  const cuts = gaps.filter(({ us }) => us >= cut);
  const left = total - cuts.reduce((sum, { us }) => sum + us, 0);
  const per_us = left === 0 ? 0 : (100 - CUT_WIDTH * cuts.length) / left;
  const x = (us: number): number => {
    let at = us * per_us;
    for (const { from, us: length } of cuts) {
      const inside = Math.min(Math.max(us - from, 0), length);
      at += (inside / length) * CUT_WIDTH - inside * per_us;
    }
    return Number(Math.min(Math.max(at, 0), 100).toFixed(3));
  };
  const step = niceStep(left / TICKS);
  const inCut = (us: number): boolean => cuts.some(({ from, us: length }) => us > from && us < from + length);
  const ticks: Scale['ticks'] = [];
  for (const { from, us } of gaps.filter((gap) => gap.us < cut))
    for (let at = Math.ceil(from / step) * step; at < from + us; at += step)
      if (!inCut(at)) ticks.push({ x: x(at), label: showTick(at) });
  return { x, ticks, cuts: cuts.map(({ from, us }) => ({ x: x(from), width: CUT_WIDTH, label: showMs(us / 1000) })) };
}

/** From which length on stretches are cut out: the first that is much longer than all shorter ones together. */
function cutFrom(lengths: number[]): number {
  let shorter = 0;
  for (const length of lengths.toSorted((a, b) => a - b)) {
    if (length >= CUT_US && length > CUT_TIMES * shorter && shorter > 0) return length;
    shorter += length;
  }
  return Number.POSITIVE_INFINITY;
}

/** 1, 2 or 5 times a power of ten, at least as much, in microseconds. */
function niceStep(us: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(us, 1)));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= us) ?? power * 10;
}

function showTick(us: number): string {
  if (us === 0) return '0';
  if (us < 1000) return `${us} µs`;
  if (us < 1_000_000) return `${us / 1000} ms`;
  const seconds = Number((us / 1_000_000).toFixed(3));
  if (seconds < 120) return `${seconds} s`;
  const two = (part: number): string => String(Math.floor(part)).padStart(2, '0');
  const minutes = `${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 3600 ? minutes : `${Math.floor(seconds / 3600)}:${minutes}`;
}

function tickLabel({ x, label }: Scale['ticks'][number]): Html {
  return html`<text x="${x}%" y="13" class="${x > 95 ? 'last' : 'tick'}">${label}</text>`;
}

function cutOf({ x, width, label }: Scale['cuts'][number]): Html {
  return html`<g class="cut"><rect x="${x}%" width="${width}%" y="0" height="22"/><title>${label} in which nothing began or ended</title></g>`;
}

function cutLabel({ x, width, label }: Scale['cuts'][number]): Html {
  return html`<text class="cut" x="${x + width / 2}%" y="13">⋯ ${label} ⋯</text>`;
}

/** What overlaps stands in rows of its own. */
function rowsOf(spans: TraceSpan[]): TraceSpan[][] {
  const rows: TraceSpan[][] = [];
  for (const span of spans) {
    const row = rows.find((each) => each.at(-1)!.to_us <= span.from_us);
    if (row === undefined) rows.push([span]);
    else row.push(span);
  }
  return rows;
}

/** Percent of the width that a character takes on a common screen. */
const CHAR_WIDTH = 0.68;
const BAR_MIN = 0.35;

function barOf(span: TraceSpan, next: TraceSpan | undefined, scale: Scale, first: number): Html {
  const x = scale.x(span.from_us - first);
  const width = Math.max(scale.x(span.to_us - first) - x, BAR_MIN);
  const time = showMs((span.to_us - span.from_us) / 1000);
  const until = next === undefined ? 100 : scale.x(next.from_us - first);
  const says = `${span.what} · ${time}${span.ended ? '' : ' …'}`;
  const fits = (room: number): string =>
    says.length * CHAR_WIDTH <= room ? says : time.length * CHAR_WIDTH <= room ? time : '';
  const inside = fits(width - 1);
  const beside = inside === '' ? fits(until - x - width - 1) : '';
  const about = `${LANE_NAMES[span.lane]}: ${says}${span.message === null ? '' : ` (of ${span.message})`}`;
  return html`<g class="bar ${span.lane}${span.ended ? '' : ' open'}${span.message === null ? '' : ' other'}"><title>${about}</title><rect x="${x}%" width="${width}%" y="3" height="16" rx="3"/>${inside === '' ? null : html`<text class="in" x="${x}%" dx="5" y="15">${inside}</text>`}${beside === '' ? null : html`<text x="${x + width}%" dx="5" y="15">${beside}</text>`}</g>`;
}
