"""The style sheet of the report."""

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #16191d; --muted: #5a626d; --line: #dfe3e8; --shadow: #16191d33;
  --first: #1d63c9; --second: #8b939e; --third: #b4600b; --fourth: #0f7b6c; --fifth: #a1348b;
  --sixth: #6b5bd2; --seventh: #7a6a00; --hit: #e3f4e7; --hit-text: #14672c;
  --level-0: #08306b; --level-1: #2162ac; --level-2: #4a97cf; --level-3: #86bfe0; --level-4: #bcd3e6; }
@media (prefers-color-scheme: dark) { :root {
  --page: #101317; --card: #191d23; --text: #e9ecf0; --muted: #a3abb6; --line: #2e353e; --shadow: #000000a0;
  --first: #6aa5ff; --second: #7d8793; --third: #e79a4c; --fourth: #4cc3ae; --fifth: #e07fcb;
  --sixth: #a79bff; --seventh: #d3c04a; --hit: #16361f; --hit-text: #8fdca5;
  --level-0: #eaf3ff; --level-1: #b2d5fb; --level-2: #78b0ee; --level-3: #4780bd; --level-4: #2f567f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); line-height: 1.5; overflow-wrap: anywhere;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
h4 { font-size: .8125rem; font-weight: 600; color: var(--muted); margin: .75rem 0 .25rem; }
.summary { max-width: 46rem; margin: 0; color: var(--muted); font-size: 1.0625rem; }
.remark { color: var(--muted); max-width: 46rem; }
dl { margin: 0; } dd { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin-top: 1.5rem; }
.tile { display: flex; flex-direction: column-reverse; justify-content: flex-end; background: var(--card);
  border: 1px solid var(--line); border-radius: .625rem; padding: .75rem 1rem; }
.tile dd { font-size: 1.625rem; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile dt { color: var(--muted); font-size: .875rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap:
  .75rem; }
.charts:has(> :nth-child(4):last-child) { grid-template-columns:
  repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure, .card { margin: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .625rem;
  padding: .875rem 1rem; }
figure { display: flex; flex-direction: column; }
figcaption { font-size: .875rem; color: var(--muted); margin-bottom: .5rem; }
figcaption b { color: var(--text); display: block; font-size: 1rem; }
svg { display: block; width: 100%; max-width: 26rem; height: auto; margin: auto auto 0; overflow: visible; }
svg text { fill: var(--muted); font-size: 13px; }
svg .name, svg .value { fill: var(--text); }
svg .value { font-size: 12px; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--muted); }
svg .reference { stroke: var(--muted); stroke-dasharray: 5 4; }
svg .series-0 { --ink: var(--first); } svg .series-1 { --ink: var(--second); } svg .series-2 { --ink:
  var(--third); }
svg .series-3 { --ink: var(--fourth); } svg .series-4 { --ink: var(--fifth); } svg .series-5 { --ink:
  var(--sixth); } svg .series-6 { --ink: var(--seventh); }
svg .level-0 { --ink: var(--level-0); } svg .level-1 { --ink: var(--level-1); } svg .level-2 { --ink:
  var(--level-2); } svg .level-3 { --ink: var(--level-3); } svg .level-4 { --ink: var(--level-4); }
svg text.small { font-size: 11px; }
.card figure { background: none; border: 0; padding: 0; margin-top: 1rem; } .card figure svg { margin: 0; }
figure.wide svg { max-width: 34rem; } figure.wide .legend svg { max-width: .75rem; }
@media (min-width: 40rem) { figure.wide svg text { font-size: 9.5px; } }
svg .cell { fill: var(--first); } svg .frame { fill: none; stroke: var(--line); }
svg .point { fill: var(--ink); fill-opacity: .75; }
svg .box { fill: var(--page); stroke: var(--line); } svg .branch { fill: none; stroke: var(--muted); }
svg .line { fill: none; stroke: var(--ink); stroke-width: 2; stroke-linejoin: round; }
svg .bar, svg .dot { fill: var(--ink); }
.charts + .scroll { margin-top: .75rem; }
details { margin-top: .75rem; } summary { cursor: pointer; color: var(--muted); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .625rem;
  padding: .375rem .5rem;
  /* A shadow at the right end while there is more; what scrolls along covers it at the end. */
  background: linear-gradient(to left, var(--card) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--shadow), transparent) right / 1rem 100% no-repeat scroll, var(--card); }
.scroll tr:last-child > * { border-bottom: 0; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: .5rem; }
th, td { text-align: right; padding: .375rem .625rem; border-bottom: 1px solid var(--line); white-space:
  nowrap; }
th:first-child { text-align: left; } thead th { color: var(--muted); font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: .75rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem .875rem; margin: .5rem 0 0;
  padding: 0; font-size: .8125rem; }
.legend li { display: flex; align-items: center; gap: .375rem; overflow-wrap: anywhere; }
.legend svg { width: .75rem; margin: 0; flex: none; }
.missing { color: var(--muted); padding-left: 1.125rem; max-width: 46rem; }
.path { list-style: none; display: flex; flex-wrap: wrap; gap: .375rem; margin: 0; padding: 0; font-size:
  .875rem; }
.path li { border: 1px solid var(--line); border-radius: .375rem; padding: .0625rem .5rem; }
.path li, .answers li, .next, h3 { overflow-wrap: anywhere; }
small { color: var(--muted); font-size: .75rem; display: inline-block; max-width: 100%; }
.next { margin: .75rem 0 0; } .next b { font-weight: 650; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr));
  gap: .75rem; }
.answers ol { margin: 0; padding-left: 1.5rem; font-size: .875rem; }
.answers li { padding: .125rem .375rem; border-radius: .375rem; }
.hit { background: var(--hit); } .hit small { color: inherit; }
.mark { color: var(--hit-text); font-size: .8125rem; margin-left: .375rem; white-space: nowrap; }
.facts { display: grid; gap: .375rem; font-size: .9375rem; }
.fact { display: grid; grid-template-columns: 11rem 1fr; gap: .75rem; }
.facts dt { color: var(--muted); } .facts dd { overflow-wrap: anywhere; }
@media (max-width: 30rem) { main { padding-top: 1.25rem; } h1 { font-size: 1.4rem; }
  .fact { grid-template-columns: 1fr; gap: 0; } }
"""
