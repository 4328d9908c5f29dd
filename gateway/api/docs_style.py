"""How the readable pages look, by day and by night."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--get:#0969da;--post:#1a7f37;--patch:#9a6700;--delete:#cf222e}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:78rem;padding:1rem;display:grid;gap:0 2rem;
grid-template:auto 1fr/minmax(14rem,22rem) minmax(0,1fr)}
header{grid-column:1/-1;border-bottom:1px solid var(--line)}
nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow:auto;font-size:.85rem}
nav ul{list-style:none;padding:0}nav a{color:inherit;text-decoration:none;overflow-wrap:anywhere}
nav h2{font-size:.95rem;margin:1rem 0 0}
section{border-bottom:1px solid var(--line);padding-bottom:1rem}section h2{font-size:1.05rem;margin-bottom:.3rem}
section:target h2{background:var(--soft)}h3{font-size:.95rem;margin:1rem 0 .3rem}
b{font-size:.75rem;letter-spacing:.03em}.get{color:var(--get)}.post{color:var(--post)}.patch{color:var(--patch)}
.delete{color:var(--delete)}
code,pre{font-family:ui-monospace,monospace;font-size:.85em;overflow-wrap:anywhere}pre{background:var(--soft);padding:.7rem;overflow:auto}
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:.25rem .5rem;vertical-align:top}
td:first-child{width:12rem}td:nth-child(2){width:14rem}small{opacity:.7}summary{cursor:pointer;margin-top:.7rem}
@media(max-width:50rem){body{display:block}nav{position:static;max-height:none}}
"""
