"""The report as one HTML page that needs no network: styles, plots and script are inside, pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from scenegen.reporting.leaderboard import Row, interval, number

STYLE = """
:root{--ink:#1f2933;--soft:#616e7c;--line:#e4e7eb;--ground:#fff;--tint:#f5f7fa;--mark:#c05621;--good:#2f855a}
*{box-sizing:border-box}body{margin:0;font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
color:var(--ink);background:var(--ground)}main{max-width:1120px;margin:0 auto;padding:32px 24px 80px}
h1{font-size:28px;margin:0 0 4px}h2{font-size:20px;margin:44px 0 10px;padding-top:14px;border-top:1px solid var(--line)}
p,li{max-width:76ch}.soft{color:var(--soft)}nav a{margin-right:16px;color:#2b6cb0;text-decoration:none}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--soft);border-bottom:2px solid var(--line);cursor:pointer;
position:sticky;top:0;background:var(--ground);white-space:nowrap}td,th{padding:5px 10px 5px 0;vertical-align:top}
td{border-bottom:1px solid var(--line)}td.n,th.n{text-align:right;white-space:nowrap}tr:hover td{background:var(--tint)}
code{font:12.5px ui-monospace,Menlo,Consolas,monospace;background:var(--tint);padding:1px 5px;border-radius:4px}
.scroll{overflow-x:auto}.missing{color:var(--soft)}.mark{color:var(--mark)}figure{margin:16px 0}figure svg,figure img
{max-width:100%;height:auto;display:block}figcaption{color:var(--soft);font-size:13px;margin-top:6px}
details{margin:8px 0}summary{cursor:pointer}blockquote{margin:12px 0;padding:8px 16px;border-left:4px solid var(--good);
background:var(--tint)}
"""

SORT = """
document.querySelectorAll("th").forEach(th=>th.addEventListener("click",()=>{
const t=th.closest("table"),i=[...th.parentNode.children].indexOf(th),b=t.tBodies[0],u=th.dataset.up!=="1";
th.dataset.up=u?"1":"0";const k=r=>{const s=r.cells[i].textContent.trim(),f=parseFloat(s);
return s===""?null:isNaN(f)?s:f};
[...b.rows].sort((x,y)=>{const p=k(x),q=k(y);if(p===null)return 1;if(q===null)return -1;
return (p>q?1:p<q?-1:0)*(u?1:-1)}).forEach(r=>b.append(r))}));
"""


def page(
    table: Sequence[Row],
    *,
    stamp: str,
    conclusion: Sequence[str],
    plots: Sequence[tuple[str, str, str]],
    pictures: Sequence[tuple[str, str, str]],
) -> str:
    """The whole page.

    Args:
        table: of the leaderboard.
        stamp: time and commit.
        conclusion: sentences of the comparison.
        plots: (heading, SVG, caption); empty SVGs are left out.
        pictures: (heading, relative path, caption).
    """
    ours = [row for row in table if row.ours]
    logged = [row for row in table if row.recorded]
    body = [
        "<h1>scenegen report</h1>",
        f'<p class="soft">{escape(stamp)}</p>',
        '<nav><a href="#ours">Our runs</a><a href="#plots">Plots</a><a href="#pictures">Pictures</a>'
        '<a href="#log">The log</a></nav>',
        '<h2 id="ours">Our runs</h2>',
        _ours(ours) if ours else "<p>No finished run was found; train one, then make this page again.</p>",
        *([f"<blockquote>{'<br>'.join(map(escape, conclusion))}</blockquote>"] if conclusion else []),
        '<h2 id="plots">Plots</h2>',
        *(f"<h3>{escape(head)}</h3><figure>{svg}<figcaption>{escape(text)}</figcaption></figure>"
          for head, svg, text in plots if svg),
        '<h2 id="pictures">Pictures</h2>',
        *(_picture(*shown) for shown in pictures),
        '<h2 id="log">The log</h2>',
        "<p>Every row is a command: <code>python -m scenegen.train experiment=&lt;row&gt; data.root=PATH</code>. The "
        "recorded numbers were measured by the contest's judges (offline rows: by the team's own FID); ours stand "
        "beside them with their own protocol and do not compare one to one.</p>",
        _logged(logged),
    ]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>scenegen report</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(body)}</main><script>{SORT}</script></body></html>\n"
    )


def _picture(head: str, path: str, caption: str) -> str:
    image = f'<a href="{escape(path)}"><img src="{escape(path)}" alt="{escape(head)}"></a>'
    return f"<h3>{escape(head)}</h3><figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _ours(rows: Sequence[Row]) -> str:
    roles = list(dict.fromkeys(role for row in rows if row.ours for role in row.ours.parts))
    shared = set.intersection(*(set(row.ours.marks) for row in rows if row.ours))
    lines = []
    for row in rows:
        own = row.ours
        assert own is not None
        rare = [mark for mark in own.marks if mark not in shared]
        cells = [_cell(number(own.total)), _cell(interval(own)), _cell(str(len(own.runs)))]
        cells += [_cell(f"{own.parts[role]:.4g}" if role in own.parts else "") for role in roles]
        marks = f'<br><span class="mark">{escape("; ".join(rare))}</span>' if rare else ""
        lines.append(f"<tr><td><code>{escape(row.recipe)}</code>{marks}</td>{''.join(cells)}"
                     f"<td><code>{escape(own.protocol)}</code></td></tr>")  # fmt: skip
    head = ["recipe", *(f"*{name}" for name in ("total", "95 % interval", "seeds", *roles)), "protocol"]
    note = f'<p class="mark">All of them: {escape("; ".join(sorted(shared)))}.</p>' if shared else ""
    return _table(head, lines) + note


def _logged(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        numbers = [
            number(row.recorded.get(key), digits)
            for key, digits in (("mask_acc", 4), ("aesthetic", 4), ("fid", 2), ("total", 4))
        ]
        own = row.ours
        ours = f"{number(own.total)} {interval(own)}" if own else '<span class="missing">not run</span>'
        protocol = f"<code>{escape(own.protocol)}</code>" if own else ""
        lines.append(
            f"<tr><td><code>{escape(row.recipe)}</code></td><td>{escape(row.description)}</td>"
            f"{''.join(map(_cell, numbers))}<td>{ours}</td><td>{protocol}</td></tr>"
        )
    head = ["row", "as the log writes it", "*mask_acc", "*aesthetic", "*FID", "*total", "ours", "protocol"]
    return _table(head, lines)


def _table(head: Sequence[str], lines: Sequence[str]) -> str:
    cells = [f'<th class="n">{escape(name[1:])}</th>' if name.startswith("*") else f"<th>{escape(name)}</th>"
             for name in head]  # fmt: skip
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(cells)}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    return f'<td class="n">{escape(text)}</td>'
