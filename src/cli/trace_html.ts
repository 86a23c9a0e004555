import { createHash } from 'node:crypto';
import type { Trace } from '../evidence/trace.ts';
import type { TraceStep } from '../evidence/trace_steps.ts';
import { Html, html } from './html.ts';
import { chartOf } from './trace_chart.ts';
import { STYLE } from './trace_style.ts';
import * as words from './trace_words.ts';

/**
 * A trace as one page: no script, nothing from elsewhere, and a policy that says so to the browser. Whatever people, platforms and
 * agents wrote is text (`html.ts`). Reads in the dark, in the light and on paper.
 */
export function page(trace: Trace): string {
  const { message, sums } = trace;
  const hash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Html(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Trace of ${message.id}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>
<h1>${message.id} <small>from</small> ${message.from} <small>in</small> ${message.place}</h1>
<p class="when"><time>${words.clockTime(message.received_ms * 1000).slice(0, 23)} UTC</time>${message.thread === '' ? null : html` · thread ${message.thread}`} · platform id ${message.platform_id}</p>
<blockquote>${message.text === '' ? html`<i>no text</i>` : message.text}</blockquote>
<ul class="outcome">${words.outcomesOf(trace).map((line) => html`<li>${line}</li>`)}</ul>
</header>
<section class="tiles">
${tile('total', words.showMs(sums.total_us / 1000), 'whole')}
${words.timesOf(sums).map(([name, time]) => tile(name, time, name))}
</section>
<p class="usage">${words.usageLine(sums)}</p>
<section class="chart">
<h2>Time line</h2>
${chartOf(trace)}
</section>
<section>
<h2>${trace.steps.length} steps</h2>
<table>
<thead><tr><th>Time (UTC)</th><th class="n">Step</th><th class="n">Total</th><th>Where</th><th>What</th><th>Details</th></tr></thead>
<tbody>
${trace.steps.map((step, at) => [dayRow(step, trace.steps[at - 1]), stepRow(step)])}
</tbody>
</table>
</section>
${list(
  'Sent',
  trace.sent.map((sent) => html`${words.sentLine(sent)}<q>${words.shorten(sent.text, 200)}</q>`),
)}
${list(
  'Sandboxes',
  trace.sandboxes.map((sandbox) => html`${words.sandboxLine(sandbox)}`),
)}
${list(
  'Secrets used',
  trace.credentials.map((credential) => html`${words.credentialLine(credential)}`),
)}
<footer>Lanes may overlap, so that their sums may be more than the total. What a sandbox reports about itself it may have made up.</footer>
</body>
</html>`.toString();
}

function tile(name: string, value: string, lane: string): Html {
  return html`<div class="tile ${lane.replaceAll(' ', '-')}"><b>${value}</b><span>${name}</span></div>`;
}

function list(title: string, lines: Html[]): Html | null {
  return lines.length === 0
    ? null
    : html`<section><h2>${title}</h2><ul class="list">${lines.map((line) => html`<li>${line}</li>`)}</ul></section>`;
}

function dayRow(step: TraceStep, before: TraceStep | undefined): Html | null {
  const day = words.clockTime(step.at_us).slice(0, 10);
  if (before !== undefined && words.clockTime(before.at_us).slice(0, 10) === day) return null;
  return html`<tr class="day"><th colspan="6">${day}</th></tr>
`;
}

function stepRow(step: TraceStep): Html {
  const ids = [step.message, step.session, step.turn, step.outbound].filter((id) => id !== null);
  const facts = words
    .factsOf(step)
    .map(([name, value]) => html`<span class="fact"><i>${name}</i> ${words.shorten(value, 300)}</span> `);
  return html`<tr class="${step.where}${words.isBad(step) ? ' bad' : ''}"><td class="n">${words.clockTime(step.at_us).slice(11)}</td><td class="n">+${words.showMs(step.after_us / 1000)}</td><td class="n">${words.showMs(step.since_us / 1000)}</td><td>${step.where}</td><td class="kind">${step.kind}</td><td>${ids.map((id) => html`<span class="id">${id}</span> `)}${facts}</td></tr>
`;
}
