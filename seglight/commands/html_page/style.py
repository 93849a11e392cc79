"""The style sheet of pages: light and dark, wide and narrow, on screen and on paper, with the system's fonts."""

from seglight.commands.html_page.colors import LEVELS, SERIES

LIGHT = """
  --page: #f7f7f5; --surface: #ffffff; --ink: #1c232d; --muted: #56606d; --line: #e1e4e8; --grid: #e8eaed;
  --accent: #2a6cb0; --good: #1f7a4d; --bad: #b3372f; --track: #eceef1; --heat: 42, 108, 176; --heat-step: 0.07;
"""

DARK = """
  --page: #14171b; --surface: #1b1f25; --ink: #e4e8ed; --muted: #a0a9b5; --line: #2e343c; --grid: #2a3038;
  --accent: #6fadec; --good: #6cc598; --bad: #f0857d; --track: #2a3038; --heat: 111, 173, 236; --heat-step: 0.05;
"""

SCREEN = """
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 1180px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 0.4rem; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 0.4rem; letter-spacing: -0.005em; }
h3 { font-size: 1rem; margin: 1.6rem 0 0.4rem; }
p { margin: 0 0 0.8rem; max-width: 46rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
small, .small { font-size: 0.8rem; color: var(--muted); }
code { font: 0.86em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
ul.plain { margin: 0 0 0.8rem; padding-left: 1.1rem; max-width: 46rem; }
ul.plain li { margin-bottom: 0.25rem; }
.about, .note { color: var(--muted); }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.none { color: var(--muted); }
.name svg.swatch { margin-right: 0.45em; }
svg.swatch { width: 0.7em; height: 0.7em; vertical-align: -0.02em; }
svg.swatch rect { stroke: var(--muted); stroke-opacity: 0.5; stroke-width: 0.6; }

header { margin-bottom: 1.5rem; }
section {
  background: var(--surface); border: 1px solid var(--line); border-radius: 8px;
  padding: 1.3rem 1.5rem 1.4rem; margin: 0 0 1.1rem; scroll-margin-top: 1rem; min-width: 0;
}
section > :last-child, figure > :last-child { margin-bottom: 0; }
nav ul { list-style: none; margin: 0 0 1.2rem; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; }
nav a { display: inline-block; padding: 0.15rem 0; }
footer { color: var(--muted); font-size: 0.85rem; margin-top: 1.5rem; }

.hero { display: flex; flex-wrap: wrap; gap: 1.2rem 2.6rem; align-items: flex-end; margin: 1.1rem 0 1.2rem; }
.hero .figure { font-size: 3.4rem; line-height: 1; font-weight: 650; letter-spacing: -0.03em; }
.hero .label { color: var(--muted); margin-top: 0.35rem; max-width: 26rem; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.6rem, 1fr)); gap: 0.7rem; margin: 0 0 1.2rem;
}
.tile {
  background: var(--surface); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.6rem 0.8rem 0.65rem;
}
.tile .figure { font-size: 1.35rem; font-weight: 600; letter-spacing: -0.01em; }
.tile .label { color: var(--muted); font-size: 0.82rem; line-height: 1.35; }

dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 0.6rem 1.6rem;
  margin: 0 0 1rem;
}
dl > div { min-width: 0; }
dt { color: var(--muted); font-size: 0.82rem; }
dd { margin: 0; }

.scroll { overflow-x: auto; margin: 0 0 1rem; scrollbar-width: thin; }
.scroll.tall { max-height: 34rem; overflow-y: auto; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; line-height: 1.35; }
caption { caption-side: top; text-align: left; color: var(--muted); font-size: 0.85rem; padding: 0 0 0.35rem; }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(46rem, calc(100vw - 3.8rem)); }
th, td { padding: 0.3rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0.2rem; }
thead th { font-weight: 600; color: var(--muted); font-size: 0.82rem; vertical-align: bottom; overflow-wrap: normal; }
tbody th { font-weight: 500; }
th.name, td.name, th.bar, td.bar { text-align: left; }
tbody .name { min-width: 6.5rem; max-width: 20rem; }
td.number { white-space: nowrap; }
td small, dd small { display: block; font-size: 0.76rem; }
td.bar { min-width: 8rem; width: 40%; padding-top: 0.42rem; }
thead th { position: sticky; top: 0; background: var(--surface); z-index: 1; }
tbody th { position: sticky; left: 0; background: var(--surface); }
thead th:first-child { left: 0; z-index: 2; }
table.heat td {
  text-align: center; min-width: 3rem; padding: 0.3rem 0.4rem; border-bottom: 1px solid var(--surface);
}
table.heat thead th { text-align: center; }
table.heat thead th:first-child { text-align: left; }

svg.bar { display: block; width: 100%; height: 0.85rem; overflow: visible; }
svg.bar line { vector-effect: non-scaling-stroke; }
.track { fill: var(--track); }
.fill { fill: var(--accent); }
.whisker { stroke: var(--ink); stroke-width: 1.5; }
.zero { stroke: var(--muted); stroke-width: 1; }
.dot { stroke-width: 8; stroke-linecap: round; stroke: var(--muted); }
.range { stroke-width: 2; stroke: var(--muted); }
.better .dot, .better .range, .better { stroke: var(--good); }
.worse .dot, .worse .range, .worse { stroke: var(--bad); }

.charts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1.1rem 1.6rem;
  margin: 0 0 1rem;
}
figure { margin: 0; min-width: 0; }
figcaption { font-size: 0.85rem; color: var(--muted); margin: 0.3rem 0 0; }
.chart figcaption { margin: 0 0 0.2rem; color: var(--ink); font-weight: 600; font-size: 0.9rem; }
.chart { max-width: 30rem; }
svg.plot { display: block; width: 100%; height: auto; overflow: visible; }
svg.plot text { font-size: 11px; fill: var(--muted); }
svg.plot .grid { stroke: var(--grid); stroke-width: 1; }
svg.plot .axis { stroke: var(--muted); stroke-width: 1; }
svg.plot .ideal { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 4 4; }
svg.plot .mark { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 5 3; }
svg.plot .curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg.plot .gap { fill: var(--bad); fill-opacity: 0.22; }
.legend {
  list-style: none; padding: 0; margin: 0.2rem 0 0; display: flex; flex-wrap: wrap; gap: 0.15rem 1rem;
  font-size: 0.82rem; color: var(--muted);
}
.legend svg.key { width: 1.5rem; height: 0.6rem; margin-right: 0.4em; vertical-align: 0.02em; }
.legend svg.key line { stroke-width: 2.4; }

img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
.gallery {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1.4rem 1.6rem;
  margin: 0.6rem 0 1rem;
}
.gallery img { width: 100%; }
.gallery.large { grid-template-columns: minmax(0, 1fr); }
.gallery.large img { width: auto; }
"""

NARROW = """
@media (max-width: 560px) {
  body { padding: 1.1rem 0.8rem 2rem; font-size: 15px; }
  section { padding: 1rem 0.9rem 1.1rem; border-radius: 6px; }
  h1 { font-size: 1.4rem; }
  .hero .figure { font-size: 2.8rem; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  dl { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.6rem 1rem; }
  tbody .name { max-width: 9rem; }
  .scroll.tall { max-height: 26rem; }
}
@media (min-width: 1080px) {
  body { display: grid; grid-template-columns: 10.5rem minmax(0, 1fr); gap: 0 2.2rem; }
  header, footer { grid-column: 1 / -1; }
  nav ul { position: sticky; top: 1.5rem; flex-direction: column; flex-wrap: nowrap; font-size: 0.9rem; }
}
"""

PRINT = """
@page { margin: 14mm; }
@media print {
  html { font-size: 11.5px; }
  body {
    display: block; max-width: none; padding: 0; font-size: 9.5pt; background: #fff; print-color-adjust: exact;
    -webkit-print-color-adjust: exact;
  }
  nav { display: none; }
  section { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: 1rem 0 0; }
  caption span { position: static; max-width: none; }
  .scroll, .scroll.tall { overflow: visible; max-height: none; border: 0; }
  thead th, tbody th { position: static; background: none; }
  h2, h3, .about, caption { break-after: avoid; }
  tr, figure, .tile, .hero, dl > div { break-inside: avoid; }
  table { font-size: 8pt; }
  th, td { padding: 0.15rem 0.4rem; }
  td.bar { min-width: 4rem; }
  .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .gallery { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
"""


def _series() -> str:
    """Rules for the colours of curves, and for the cells of heat maps."""
    light = "".join(f" --series-{k}: {one};" for k, (one, _) in enumerate(SERIES))
    dark = "".join(f" --series-{k}: {other};" for k, (_, other) in enumerate(SERIES))
    rules = "".join(f".series-{k} {{ stroke: var(--series-{k}); }}\n" for k in range(len(SERIES)))
    heat = "".join(
        f".heat-{k} {{ background: rgba(var(--heat), calc({k} * var(--heat-step))); }}\n" for k in range(LEVELS + 1)
    )
    return (
        f":root {{{LIGHT}{light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{{DARK}{dark} }} }}\n{SCREEN}{rules}{heat}"
    )


STYLE = f"\n{_series()}{NARROW}{PRINT}"
"""The whole style sheet; constant, without text from anywhere else."""
