"""The report as one HTML page that needs no network: styles, plots and script are inside, pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from scenegen.reporting.leaderboard import Board, Row, best, number, total_of, words

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
small{color:var(--soft)}
details{margin:8px 0}summary{cursor:pointer}blockquote{margin:12px 0;padding:8px 16px;border-left:4px solid var(--good);
background:var(--tint)}
"""

ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}

SORT = """
document.querySelectorAll("th").forEach(th=>th.addEventListener("click",()=>{
const t=th.closest("table"),i=[...th.parentNode.children].indexOf(th),b=t.tBodies[0],u=th.dataset.up!=="1";
th.dataset.up=u?"1":"0";const k=r=>{const s=r.cells[i].textContent.trim(),f=parseFloat(s);
return s===""?null:isNaN(f)?s:f};
[...b.rows].sort((x,y)=>{const p=k(x),q=k(y);if(p===null)return 1;if(q===null)return -1;
return (p>q?1:p<q?-1:0)*(u?1:-1)}).forEach(r=>b.append(r))}));
"""


@dataclass(frozen=True)
class Section:
    """One task's part of the page.

    Attributes:
        board: its recipes.
        plots: (heading, SVG, caption); empty SVGs are left out.
        pictures: (heading, relative path, caption).
    """

    board: Board
    plots: Sequence[tuple[str, str, str]]
    pictures: Sequence[tuple[str, str, str]]


def page(sections: Sequence[Section], table: Sequence[Row], *, stamp: str, explorer: str) -> str:
    """The whole page.

    Args:
        sections: of our runs, one per task.
        table: the log.
        stamp: time and commit.
        explorer: the view of all runs as HTML, "" for none.
    """
    names = [(f"task-{escape(one.board.task)}", escape(one.board.title)) for one in sections]
    every = [("explore", "All runs")] if explorer else []
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in [*names, *every, ("log", "The log")])
    body = [
        "<h1>scenegen report</h1>",
        f'<p class="soft">{escape(stamp)}</p>',
        f"<nav>{links}</nav>",
        *(_section(one, anchor) for one, (anchor, _) in zip(sections, names, strict=True)),
        *([] if sections else ["<p>No finished run was found; train one, then make this page again.</p>"]),
        explorer,
        '<h2 id="log">The log</h2>',
        "<p>Every row is a command: <code>python -m scenegen.train experiment=&lt;row&gt; data.root=PATH</code>. The "
        "recorded numbers were measured by the contest's judges (offline rows: by the team's own FID); ours stand "
        "beside them with their own protocol and do not compare one to one.</p>",
        _logged([row for row in table if row.recorded]),
    ]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>scenegen report</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(body)}</main><script>{SORT}</script></body></html>\n"
    )


def _section(section: Section, anchor: str) -> str:
    """Heading, table, conclusion, plots and pictures of one task."""
    board = section.board
    told = "<br>".join(map(escape, board.conclusion))
    plots = "".join(f"<h3>{escape(head)}</h3><figure>{svg}<figcaption>{escape(text)}</figcaption></figure>"
                    for head, svg, text in section.plots if svg)  # fmt: skip
    return (
        f'<section><h2 id="{anchor}">{escape(board.title)}</h2>{_ours(board)}'
        f"{f'<blockquote>{told}</blockquote>' if told else ''}{plots}"
        f"{''.join(_picture(*shown) for shown in section.pictures)}</section>"
    )


def _picture(head: str, path: str, caption: str) -> str:
    image = f'<a href="{escape(path)}"><img src="{escape(path)}" alt="{escape(head)}"></a>'
    return f"<h3>{escape(head)}</h3><figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _ours(board: Board) -> str:
    """The board as a table, the best means in bold."""
    marked, roles = best(board), board.roles
    shared = set.intersection(*(set(row.ours.marks) for row in board.rows if row.ours))
    lines = []
    for row in board.rows:
        own = row.ours
        assert own is not None
        rare = [mark for mark in own.marks if mark not in shared]
        cells = [_cell(str(len(own.runs)))]
        cells += [_mean(words(own.numbers.get(role)), best=(row.recipe, role) in marked) for role in roles]
        noted = board.logged.get(row.recipe, "")
        noted = f"<br><small>the log's own: {escape(noted)}</small>" if noted else ""
        marks = f'<br><span class="mark">{escape("; ".join(rare))}</span>' if rare else ""
        lines.append(f"<tr><td><code>{escape(row.recipe)}</code>{noted}{marks}</td>{''.join(cells)}"
                     f"<td><code>{escape(own.protocol)}</code></td></tr>")  # fmt: skip
    better = {role: mean.better for row in board.rows if row.ours for role, mean in row.ours.numbers.items()}
    head = [f"*{role}{ARROWS[better[role]]}" for role in roles]
    note = f'<p class="mark">All of them: {escape("; ".join(sorted(shared)))}.</p>' if shared else ""
    key = (
        '<p class="soft">Means over seeds with their 95 % interval (of one seed: over its pictures); bold: the best of '
    )
    key += "a protocol, arrows show the better direction.</p>"
    if board.logged:
        key += (
            '<p class="soft">The log\'s own numbers stand beside the recipes of its rows, of another size or length '
            "here too: they were measured by its code on its data and do not compare.</p>"
        )
    return _table(["recipe", "*seeds", *head, "protocol"], lines) + key + note


def _mean(parts: Sequence[str], *, best: bool) -> str:
    """A cell with a mean, and its interval below."""
    value, *interval = parts or [""]
    shown = f"<b>{escape(value)}</b>" if best else escape(value)
    return f'<td class="n">{shown}{"".join(f"<br><small>{escape(one)}</small>" for one in interval)}</td>'


def _logged(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        numbers = [
            number(row.recorded.get(key), digits)
            for key, digits in (("mask_acc", 4), ("aesthetic", 4), ("fid", 2), ("total", 4))
        ]
        ours = escape(total_of(row)) if row.ours else '<span class="missing">not run</span>'
        protocol = f"<code>{escape(row.ours.protocol)}</code>" if row.ours else ""
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
