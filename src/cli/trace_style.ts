/** Of the page of a trace. Colours by lane are readable on both grounds, and their lanes are named beside them. */
export const STYLE = `
:root { color-scheme: light dark; --bg: #fbfbfa; --ink: #1d2126; --dim: #5f6873; --line: #dfe2e6; --card: #fff; --bad: #b3261e; --badbg: #fdeceb;
  --queue: #9aa3ad; --sandbox: #b98a2f; --turn: #c9d6ea; --model: #5b67d8; --service: #178a83; --tool: #a3479d; --people: #d0762b; --delivery: #3c8f4d; --inked: #fff; --turnink: #26374f; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171a; --ink: #e6e8ea; --dim: #98a1ab; --line: #2c3238; --card: #1b1f23; --bad: #ff8a80; --badbg: #351c1c;
  --queue: #66707a; --sandbox: #a87b24; --turn: #2b3b53; --turnink: #c9d8ee; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 24px 40px; background: var(--bg); color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 21px; line-height: 1.3; margin: 0; overflow-wrap: anywhere; } h1 small { color: var(--dim); font-size: 15px; font-weight: 400; }
h2 { font-size: 15px; margin: 28px 0 8px; }
.when { color: var(--dim); margin: 2px 0 12px; overflow-wrap: anywhere; }
blockquote { margin: 0; padding: 10px 14px; max-height: 18em; overflow: auto; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--model);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
.outcome { list-style: none; margin: 10px 0 0; padding: 0; } .outcome li { font-weight: 600; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-top: 3px solid var(--line); border-radius: 6px; padding: 7px 14px 8px; min-width: 96px; }
.tile b { display: block; font-size: 17px; font-variant-numeric: tabular-nums; white-space: nowrap; } .tile span { color: var(--dim); font-size: 12px; }
.tile.total, .tile.whole { border-top-color: var(--ink); } .tile.queue { border-top-color: var(--queue); } .tile.sandbox-start { border-top-color: var(--sandbox); }
.tile.model { border-top-color: var(--model); } .tile.services { border-top-color: var(--service); } .tile.tools { border-top-color: var(--tool); }
.tile.people { border-top-color: var(--people); } .tile.delivery { border-top-color: var(--delivery); } .tile.the-rest { border-top-color: var(--turn); }
.usage { color: var(--dim); margin: 10px 0 0; }
.lanes { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 6px 14px 10px 0; }
.lane { display: grid; grid-template-columns: 118px 1fr; align-items: center; break-inside: avoid; }
.lane > span { text-align: right; padding-right: 12px; color: var(--dim); font-size: 12px; white-space: nowrap; }
.lane svg { width: 100%; display: block; overflow: visible; font-size: 11px; font-variant-numeric: tabular-nums; }
.lane svg text { fill: var(--ink); } .axis svg text { fill: var(--dim); } .axis .last { text-anchor: end; }
.grid { stroke: var(--line); stroke-width: 1; }
.cut rect { fill: var(--line); opacity: .7; } .axis svg text.cut { text-anchor: middle; fill: var(--people); font-weight: 600; }
.bar .in { fill: var(--inked); } .bar.turn .in { fill: var(--turnink); } .bar.other { opacity: .72; }
.bar.queue rect { fill: var(--queue); } .bar.sandbox rect { fill: var(--sandbox); } .bar.turn rect { fill: var(--turn); } .bar.model rect { fill: var(--model); }
.bar.service rect { fill: var(--service); } .bar.tool rect { fill: var(--tool); } .bar.people rect { fill: var(--people); } .bar.delivery rect { fill: var(--delivery); }
.bar.open rect { stroke: var(--bad); stroke-dasharray: 3 2; }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: 6px; font-size: 13px; }
th { text-align: left; color: var(--dim); font-weight: 600; } th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
th.n, td.n { font-variant-numeric: tabular-nums; white-space: nowrap; } td.n + td.n, th.n { text-align: right; } td.n { color: var(--dim); } td:first-child { color: var(--ink); }
td:last-child { overflow-wrap: anywhere; width: 46%; } .kind { font-weight: 600; white-space: nowrap; }
tr { break-inside: avoid; } .day th { background: var(--bg); color: var(--ink); }
tr.sandbox td:nth-child(4) { color: var(--tool); } tr.gateway td:nth-child(4) { color: var(--service); }
tr.bad { background: var(--badbg); } tr.bad .kind { color: var(--bad); }
.fact { margin-right: 10px; } .fact i { color: var(--dim); font-style: normal; font-size: 12px; }
.id { color: var(--dim); border: 1px solid var(--line); border-radius: 4px; padding: 0 4px; font-size: 12px; }
.list { margin: 0; padding-left: 18px; overflow-wrap: anywhere; } .list q { display: block; color: var(--dim); quotes: none; white-space: pre-wrap; }
footer { margin-top: 28px; color: var(--dim); font-size: 12px; }
@media (max-width: 760px) { body { padding: 16px 10px; } table, thead, tbody, tr, td { display: block; } thead { display: none; } tr { border-bottom: 1px solid var(--line); padding: 6px 0; }
  td { border: 0; padding: 0 10px; display: inline-block; width: auto; } td:last-child { display: block; width: auto; } .lane { grid-template-columns: 84px 1fr; } .bar text { display: none; } }
@media print { :root { --bg: #fff; --ink: #000; --dim: #444; --line: #bbb; --card: #fff; --bad: #8c1d18; --badbg: #f6e3e2; --turn: #c9d6ea; --turnink: #26374f; color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 10pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; } blockquote { max-height: none; }
  table { font-size: 8pt; } thead { display: table-header-group; } th, td { padding: 2px 6px; } @page { margin: 14mm; } }
`;
