"""The style sheet of the web page."""

from __future__ import annotations

from hub2hf.equivalence.reports.scale import NO_NUMBER, STEPS

SHEET = """
:root { color-scheme: light dark; --ink: #17212b; --soft: #55616d; --page: #fff; --card: #f5f7f9; --line: #d5dbe1;
  --good: #0a5c9e; --bad: #9c3300; --on: #fff; --warn: #fff1de; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #a3afbb; --page: #11161c; --card: #1a222b;
  --line: #35414d; --good: #1a6bab; --bad: #b04a0c; --warn: #33230f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 7rem; max-width: 80rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1rem; font-weight: 600; color: var(--soft); margin: 0 0 .75rem; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .35rem 0; max-width: 60rem; }
.banner, .card p { max-width: none; }
.soft, caption { color: var(--soft); font-size: .9rem; }
.banner { color: var(--on); border-radius: .6rem; padding: 1rem 1.25rem; }
.banner strong { display: block; font-size: clamp(1.4rem, 5vw, 2rem); line-height: 1.2; letter-spacing: .02em; }
.banner.good { background: var(--good); } .banner.bad { background: var(--bad); }
[hidden] { display: none !important; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; margin: .75rem 0; }
.controls label:first-child { flex: 0 1 28rem; display: flex; gap: .5rem; align-items: center; }
.controls input[type=search] { flex: 1; min-width: 0; font: inherit; padding: .25rem .5rem; color: inherit;
  background: var(--page); border: 1px solid var(--soft); border-radius: .3rem; }
.controls fieldset { display: flex; flex-wrap: wrap; gap: .25rem .75rem; border: 0; margin: 0; padding: 0; }
.controls legend { float: left; padding: 0; margin-inline-end: .25rem; color: var(--soft); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: start; font-weight: 600; }
caption { text-align: start; padding-bottom: .25rem; }
.wide { overflow-x: auto; }
.facts th, .facts td { padding: .4rem 1rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: normal; }
.facts td.n, .facts th.n { text-align: end; white-space: nowrap; }
.facts .reason { min-width: 14rem; overflow-wrap: anywhere; }
.facts .result { min-width: 11rem; }
summary { cursor: pointer; padding: .5rem 0; }
.fail { color: var(--bad); font-weight: 700; }
@media (prefers-color-scheme: dark) { .fail { color: #ffb066; } }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem;
  margin: .75rem 0; }
.cause { background: var(--warn); border-inline-start: .35rem solid var(--bad); }
.card ul { margin: .5rem 0 0; padding: 0; list-style: none; }
.text { display: block; margin: .4rem 0; padding: .3rem .6rem; background: var(--page); border: 1px solid var(--line);
  border-radius: .3rem; font-size: 1.05rem; line-height: 1.7; }
.esc { font: .8em ui-monospace, "DejaVu Sans Mono", monospace; color: var(--soft); border: 1px dotted; border-radius: .2rem;
  padding: 0 .15rem; unicode-bidi: isolate; direction: ltr; }
code { font: .9em ui-monospace, "DejaVu Sans Mono", monospace; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem .5rem; padding: 0; margin: .5rem 0 1rem; list-style: none;
  font-size: .85rem; }
.legend li { padding: .1rem .5rem; border-radius: .2rem; border: 1px solid var(--line); }
.maps { display: grid; gap: 1.25rem; align-items: start; }
@media (min-width: 60rem) { .m1 { max-width: 60rem; } .m2 { grid-template-columns: repeat(2, 1fr); }
  .m3 { grid-template-columns: repeat(3, 1fr); } }
.map { width: 100%; table-layout: fixed; border-collapse: separate; border-spacing: 2px; font-size: .85rem; }
.map th { font-size: .8rem; }
.map thead th { font-size: .66rem; padding: 0 0 .2rem; overflow-wrap: break-word; vertical-align: bottom; line-height: 1.2; }
.map th.code { width: 8.5rem; }
.map tbody th { vertical-align: middle; padding: 0; font-weight: 400; line-height: 1.15; }
.map thead th + th { text-align: center; }
.map td { padding: 0; text-align: center; border-radius: .2rem; }
.map span.v { display: block; padding: .12rem .1rem; border-radius: .2rem; cursor: default; }
.map td.none { color: var(--soft); }
.v b { margin-inline-start: .25em; }
.v small { display: block; font-size: .75rem; line-height: 1.1; }
.tip { display: none; position: fixed; z-index: 2; inset: auto 0 0 0; padding: .75rem clamp(.75rem, 3vw, 2rem);
  background: var(--card); color: var(--ink); border-top: 2px solid var(--ink); text-align: start; font-size: .95rem;
  font-weight: 400; max-height: 45vh; overflow: auto; }
.v:hover, .v:focus { outline: 2px solid var(--ink); outline-offset: 1px; }
.v:hover .tip, .v:focus .tip { display: block; } .map:has(.v:hover) .v:focus:not(:hover) .tip { display: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  .map { font-size: .8rem; } .map thead th { font-size: .6rem; } .map th.code { width: 6rem; } }
/* On a phone each way of loading is a list; the roles in the markup keep it a table for screen readers. */
@media (max-width: 44rem) { .facts thead { position: absolute; left: -99rem; } .facts, .facts tbody { display: block; }
  .facts tr { display: block; border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .facts tr > * { display: block; border: 0; padding: .1rem 0; } .facts td.n { text-align: start; white-space: normal; }
  .facts td:empty { display: none; } .facts td::before { content: attr(data-head) ": "; color: var(--soft); } }
@media print { * { print-color-adjust: exact; } body { padding-bottom: 0; } }
"""


def style_sheet() -> str:
    """Return the style sheet with the colours of the heat map as classes s0, s1, …"""
    light = [f".s{i} {{ background: {step.light[0]}; color: {step.light[1]}; }}" for i, step in enumerate(STEPS)]
    dark = [f".s{i} {{ background: {step.dark[0]}; color: {step.dark[1]}; }}" for i, step in enumerate(STEPS)]
    hatch = (
        f".map .s{NO_NUMBER} {{ background-image: repeating-linear-gradient(45deg, transparent 0 5px, #8886 5px 7px);"
        " font-weight: 700; }"
    )
    return "\n".join([SHEET, *light, "@media (prefers-color-scheme: dark) {", *dark, "}", hatch, ""])
