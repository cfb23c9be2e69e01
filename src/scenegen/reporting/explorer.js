(() => {
'use strict';
const { runs, keys } = JSON.parse(document.getElementById('x-data').textContent);
const $ = id => document.getElementById('x-' + id);
const COLOURS = ['#2b6cb0', '#c05621', '#2f855a', '#6b46c1', '#b7791f', '#b83280', '#285e61', '#1f2933'], GREY = '#9aa5b155';
const numbers = [...new Set(runs.flatMap(run => Object.keys(run.numbers)))];
const chosen = new Map();                        // place of a run -> its colour
const ranges = new Map();                        // axis -> [low, high] in shares of its height
let shown = runs.map((_, k) => k), near = -1;
for (let k = 0; k < Math.min(3, runs.length); k++) chosen.set(k, COLOURS[k]);

/* ---- Filter by words: every one must stand in a tag; -word must stand in none ---- */
const has = (run, word) => run.tags.some(tag => tag.toLowerCase().includes(word));
function filter() {
  const words = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = runs.map((_, k) => k).filter(k => words.every(word => word.length > 1 && word[0] === '-' ? !has(runs[k], word.slice(1)) : has(runs[k], word)))
    .filter(k => [...ranges].every(([axis, [low, high]]) => { const y = axisOf(axis).place(k); return y !== null && y >= low && y <= high; }));
  $('count').textContent = `${shown.length} of ${runs.length} runs`;
  for (const b of $('tags').children) b.setAttribute('aria-pressed', words.includes(b.textContent.toLowerCase()));
  const there = new Set(shown);
  [...$('rows').rows].forEach(row => { row.hidden = !there.has(+row.dataset.k); });
  near = -1; draw();
}
function tags() {
  const count = new Map();
  for (const run of runs) for (const tag of run.tags) count.set(tag, (count.get(tag) || 0) + 1);
  const common = [...count].filter(([tag, n]) => n > 1 && n < runs.length).sort((a, b) => b[1] - a[1]).slice(0, 24);
  $('tags').replaceChildren(...common.map(([tag]) => {
    const b = document.createElement('button');
    b.textContent = tag; b.setAttribute('aria-pressed', false);
    b.onclick = () => {
      const words = $('filter').value.split(/\s+/).filter(Boolean), at = words.findIndex(word => word.toLowerCase() === tag.toLowerCase());
      if (at < 0) words.push(tag); else words.splice(at, 1);
      $('filter').value = words.join(' '); filter();
    };
    return b;
  }));
}
const cell = (row, text, kind = 'td') => { const c = document.createElement(kind); c.textContent = text; row.append(c); return c; };
const digits = v => v === undefined || v === null ? '' : String(+v.toPrecision(4));
function list() {
  for (const name of ['run', ...numbers, 'recipe']) cell($('head'), name, 'th').className = numbers.includes(name) ? 'n' : '';
  runs.forEach((run, k) => {
    const row = document.createElement('tr'), first = cell(row, ''), label = document.createElement('label'), tick = document.createElement('input'), dot = document.createElement('span');
    row.dataset.k = k; tick.type = 'checkbox'; tick.id = 'x-run-' + k; dot.className = 'x-dot';
    label.append(tick, dot, run.name); first.append(label);
    tick.onchange = () => {
      if (!tick.checked) chosen.delete(k);
      else { const free = COLOURS.find(c => ![...chosen.values()].includes(c)); if (free) chosen.set(k, free); }
      ticks(); draw(); pictures(); differences();
    };
    for (const name of numbers) cell(row, digits(run.numbers[name])).className = 'n';
    cell(row, run.recipe);
    $('rows').append(row);
  });
}
function ticks() {
  for (const row of $('rows').rows) {
    const k = +row.dataset.k, [tick, dot] = row.querySelector('label').children;
    tick.checked = chosen.has(k); tick.disabled = !chosen.has(k) && chosen.size >= COLOURS.length;
    dot.style.background = chosen.get(k) || '#0000'; dot.style.border = chosen.has(k) ? '' : '1px solid var(--line)';
  }
}

/* ---- Drawing: sharp on every screen ---- */
function canvas(name) {
  const c = $(name), k = devicePixelRatio || 1, w = c.clientWidth, h = +(c.dataset.high ||= c.getAttribute('height'));
  c.style.height = h + 'px';
  c.width = Math.round(w * k); c.height = h * k; // which wipes it
  const ctx = c.getContext('2d');
  ctx.scale(k, k);
  ctx.font = '12px system-ui, sans-serif'; ctx.fillStyle = '#616e7c'; ctx.lineJoin = 'round';
  return { ctx, w, h };
}
const order = () => [...shown.filter(k => !chosen.has(k)), ...shown.filter(k => chosen.has(k))];
function pen(ctx, k) {
  ctx.strokeStyle = k === near ? '#000' : chosen.get(k) || GREY;
  ctx.lineWidth = k === near ? 3 : chosen.has(k) ? 2.2 : 1;
}
let frame = 0;
function draw() { if (!frame) frame = requestAnimationFrame(() => { frame = 0; drawCurves(); drawParallel(); }); }

/* ---- Curves overlaid ---- */
function smooth(values, reach) {
  if (!reach) return values;
  return values.map((_, k) => { const part = values.slice(Math.max(0, k - reach), k + reach + 1); return part.reduce((a, b) => a + b, 0) / part.length; });
}
let lines = new Map();                           // run -> points on the canvas
const nice = (low, high) => { const step = 10 ** Math.floor(Math.log10((high - low) / 4 || 1)), by = [1, 2, 5, 10].map(f => f * step).find(s => (high - low) / s <= 5); const all = []; for (let v = Math.ceil(low / by) * by; v <= high + by / 1e6; v += by) all.push(v); return all; };
function drawCurves() {
  const { ctx, w, h } = canvas('curves'), name = $('value').value, log = $('log').checked, box = { l: 58, r: 12, t: 10, b: 26 };
  const up = v => log ? Math.log10(v) : v;
  const series = order().filter(k => runs[k].curves[name]).map(k => {
    const [x, y] = runs[k].curves[name], s = smooth(y, +$('smooth').value);
    return [k, x.map((v, i) => [v, up(s[i])]).filter(p => Number.isFinite(p[1]))];
  }).filter(([, points]) => points.length);
  lines = new Map();
  if (!series.length) { ctx.fillText(name ? 'None of these runs logged it.' : 'These runs logged nothing.', box.l, h / 2); return; }
  const all = series.flatMap(([, points]) => points), sorted = all.map(p => p[1]).sort((a, b) => a - b);
  const last = Math.max(...all.map(p => p[0])), first = Math.min(...all.map(p => p[0]));
  let low = sorted[Math.floor(sorted.length * .002)], high = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * .998))];
  for (const [, points] of series.filter(([k]) => chosen.has(k))) { const own = points.map(p => p[1]).sort((a, b) => a - b), at = f => own[Math.round(f * (own.length - 1))]; low = Math.min(low, at(.02)); high = Math.max(high, at(.98)); }
  if (low === high) { low -= .5; high += .5; }
  const X = v => box.l + (v - first) / (last - first || 1) * (w - box.l - box.r), Y = v => h - box.b - (v - low) / (high - low) * (h - box.t - box.b);
  ctx.strokeStyle = '#e4e7eb'; ctx.lineWidth = 1;
  ctx.textAlign = 'right';
  for (const v of nice(low, high)) { ctx.beginPath(); ctx.moveTo(box.l, Y(v)); ctx.lineTo(w - box.r, Y(v)); ctx.stroke(); ctx.fillText(digits(log ? 10 ** v : v), box.l - 6, Y(v) + 4); }
  ctx.textAlign = 'center';
  for (const v of nice(first, last)) ctx.fillText(digits(v), X(v), h - 8);
  ctx.save(); ctx.beginPath(); ctx.rect(box.l, box.t - 4, w - box.l - box.r, h - box.t - box.b + 8); ctx.clip();
  for (const [k, points] of near < 0 ? series : [...series.filter(([k]) => k !== near), ...series.filter(([k]) => k === near)]) {
    const drawn = points.map(p => [X(p[0]), Y(p[1])]);
    lines.set(k, { drawn, points });
    pen(ctx, k);
    ctx.beginPath(); drawn.forEach((p, i) => i ? ctx.lineTo(...p) : ctx.moveTo(...p));
    if (drawn.length === 1) ctx.arc(...drawn[0], 3, 0, 7);
    ctx.stroke();
  }
  ctx.restore();
}
function tell(k) {
  near = k;
  const line = lines.get(k), value = line ? `, ${$('value').value} ends at ${digits($('log').checked ? 10 ** line.points.at(-1)[1] : line.points.at(-1)[1])}` : '';
  $('near').textContent = k < 0 ? '' : `${runs[k].name}: ${Object.entries(runs[k].numbers).map(([name, v]) => `${name} ${digits(v)}`).join(', ')}${value}`;
  draw();
}
function nearest(found, e, c) {
  const r = c.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top;
  let best = -1, least = 18 ** 2;
  for (const [k, points] of found) for (let i = 0; i < points.length; i++) {
    const [px, py] = points[i], [qx, qy] = points[Math.min(i + 1, points.length - 1)];
    const n = (qx - px) ** 2 + (qy - py) ** 2, t = n ? Math.max(0, Math.min(1, ((x - px) * (qx - px) + (y - py) * (qy - py)) / n)) : 0;
    const d = (px + t * (qx - px) - x) ** 2 + (py + t * (qy - py) - y) ** 2;
    if (d < least) { least = d; best = k; }
  }
  return best;
}
function walk(e) {                               // arrow keys go from run to run, Enter ticks one
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
  if (by && shown.length) { e.preventDefault(); tell(shown[(shown.indexOf(near) + by + shown.length) % shown.length]); }
  else if (e.key === 'Enter' && near >= 0) $('run-' + near).click();
  else if (e.key === 'Escape') tell(-1);
}

/* ---- Parallel coordinates: the choices in which the runs differ, then the scores ---- */
let paths = new Map(), axes = [], places = [];
function axisOf(name) { return axes.find(axis => axis.name === name); }
function axis(name) {
  const of = numbers.includes(name) ? k => runs[k].numbers[name] : k => runs[k].config[name];
  const all = runs.map((_, k) => of(k)).filter(v => v !== undefined && v !== null && v !== 'null');
  const number = all.length > 0 && all.every(v => typeof v === 'number');
  const low = number ? Math.min(...all) : 0, high = number ? Math.max(...all) : 0, words = number ? [] : [...new Set(all.map(String))].sort();
  const log = number && low > 0 && high / low > 50, f = log ? Math.log : v => v;
  return {
    name, number, low, high, words,
    place(k) { const v = of(k); if (v === undefined || v === null || v === 'null') return null; if (!number) return words.length > 1 ? words.indexOf(String(v)) / (words.length - 1) : .5; return f(high) === f(low) ? .5 : (f(v) - f(low)) / (f(high) - f(low)); },
  };
}
function chooseAxes() {
  const kinds = new Map(keys.map(key => [key, new Set(runs.map(run => String(run.config[key])))]));
  const usable = keys.filter(key => !key.endsWith('_target_') && kinds.get(key).size <= Math.max(12, runs.length) && [...kinds.get(key)].every(v => v.length < 40));
  const asked = usable.filter(key => runs.some(run => run.tags.some(tag => tag.startsWith(key + '='))));
  const ticked = new Set([...(asked.length ? asked : usable).slice(0, 6), ...numbers.slice(0, 4)]);
  $('axes').replaceChildren(...[...new Set([...asked, ...usable])].slice(0, 24).concat(numbers).map(name => {
    const label = document.createElement('label'), tick = document.createElement('input');
    tick.type = 'checkbox'; tick.checked = ticked.has(name); tick.value = name;
    tick.onchange = () => { ranges.delete(name); setAxes(); filter(); };
    label.append(tick, ' ' + name);
    return label;
  }));
  setAxes();
}
function setAxes() { axes = [...$('axes').querySelectorAll('input:checked')].map(tick => axis(tick.value)); }
const DEEP = { t: 56, b: 30 };
function drawParallel() {
  const { ctx, w, h } = canvas('parallel'), n = axes.length;
  places = axes.map((_, i) => n < 2 ? w / 2 : 70 + i * (w - 140) / (n - 1));
  const Y = share => h - DEEP.b - share * (h - DEEP.t - DEEP.b);
  paths = new Map();
  for (const k of near < 0 ? order() : [...order().filter(one => one !== near), near]) {
    if (!shown.includes(k)) continue;
    const points = axes.map((one, i) => [places[i], one.place(k)]).filter(p => p[1] !== null).map(([x, share]) => [x, Y(share)]);
    paths.set(k, points); pen(ctx, k);
    ctx.beginPath(); points.forEach((p, i) => i ? ctx.lineTo(...p) : ctx.moveTo(...p)); ctx.stroke();
  }
  ctx.textAlign = 'center';
  axes.forEach((one, i) => {
    const x = places[i];
    ctx.strokeStyle = '#1f2933'; ctx.lineWidth = 1;
    ctx.beginPath(); ctx.moveTo(x, Y(0)); ctx.lineTo(x, Y(1)); ctx.stroke();
    const wide = Math.max(60, (w - 140) / Math.max(1, n - 1) - 8);
    ctx.fillStyle = '#1f2933'; ctx.fillText(one.name.length * 6.5 > wide ? '…' + one.name.slice(-Math.floor(wide / 6.5)) : one.name, x, i % 2 ? 14 : 30);
    ctx.fillStyle = '#616e7c';
    if (one.number) { ctx.fillText(digits(one.high), x, Y(1) - 8); ctx.fillText(digits(one.low), x, Y(0) + 16); }
    else one.words.forEach((word, j) => {        // as many as have room, spread over the axis
      if (j % Math.ceil(16 * one.words.length / (Y(0) - Y(1) + 16))) return;
      const text = word.length > 16 ? word.slice(0, 15) + '…' : word, y = Y(one.words.length > 1 ? j / (one.words.length - 1) : .5) + 4, half = ctx.measureText(text).width / 2 + 3;
      ctx.fillStyle = '#ffffffd0'; ctx.fillRect(x - half, y - 11, 2 * half, 14); ctx.fillStyle = '#616e7c'; ctx.fillText(text, x, y);
    });
    if (ranges.has(one.name)) { const [low, high] = ranges.get(one.name); ctx.fillStyle = '#2b6cb040'; ctx.fillRect(x - 9, Y(high), 18, Y(low) - Y(high)); }
  });
}
function brushing() {
  const c = $('parallel');
  let from = null;
  const share = e => { const r = c.getBoundingClientRect(), h = c.clientHeight; return Math.min(1, Math.max(0, (h - DEEP.b - (e.clientY - r.top)) / (h - DEEP.t - DEEP.b))); };
  const at = e => { const x = e.clientX - c.getBoundingClientRect().left, i = places.findIndex(p => Math.abs(p - x) < 14); return i < 0 ? null : axes[i].name; };
  c.onpointerdown = e => { const name = at(e); if (name) { from = { name, share: share(e) }; c.setPointerCapture(e.pointerId); e.preventDefault(); } };
  c.onpointermove = e => {
    if (!from) { c.style.cursor = at(e) ? 'ns-resize' : 'default'; tell(nearest(paths, e, c)); return; }
    const to = share(e);
    if (Math.abs(to - from.share) > .02) { ranges.set(from.name, [Math.min(to, from.share) - 1e-9, Math.max(to, from.share) + 1e-9]); filter(); }
  };
  c.onpointerup = () => { from = null; };
  c.ondblclick = e => { const name = at(e); if (name) ranges.delete(name); else ranges.clear(); filter(); };
}

/* ---- Pictures by step, and differences of configs, of the ticked runs ---- */
function steps() { return [...new Set([...chosen.keys()].flatMap(k => runs[k].grids.map(([step]) => step)))].sort((a, b) => a - b); }
function pictures() {
  const all = steps(), slider = $('step');
  const atEnd = +slider.value === +slider.max;
  slider.max = Math.max(0, all.length - 1); slider.disabled = all.length < 2;
  if (atEnd) slider.value = slider.max;
  showStep();
}
function showStep() {
  const all = steps(), step = all[+$('step').value];
  $('at').textContent = step === undefined ? 'none of the ticked runs has pictures' : `step ${step}`;
  $('grids').replaceChildren(...[...chosen].flatMap(([k, colour]) => {
    const found = runs[k].grids.filter(([at]) => at <= step).at(-1);
    if (!found) return [];
    const figure = document.createElement('figure'), picture = document.createElement('img'), words = document.createElement('figcaption'), dot = document.createElement('span');
    picture.src = found[1]; picture.alt = `${runs[k].name} at step ${found[0]}`; picture.loading = 'lazy';
    dot.className = 'x-dot'; dot.style.background = colour;
    words.append(dot, `${runs[k].name}, step ${found[0]}`);
    figure.append(picture, words);
    return [figure];
  }));
}
function differences() {
  const all = [...chosen.keys()];
  $('diff-head').replaceChildren(); $('diff').replaceChildren();
  cell($('diff-head'), 'key', 'th');
  for (const k of all) cell($('diff-head'), runs[k].name, 'th');
  for (const key of keys) {
    const values = all.map(k => runs[k].config[key]), same = new Set(values.map(String)).size < 2;
    if (same && !$('all').checked) continue;
    const row = document.createElement('tr');
    if (same) row.className = 'x-same';
    cell(row, key);
    for (const v of values) cell(row, v === undefined ? '–' : String(v));
    $('diff').append(row);
  }
}

const values = [...new Set(runs.flatMap(run => Object.keys(run.curves)))];
$('value').append(...values.map(name => new Option(name, name)));
tags(); list(); ticks(); chooseAxes(); brushing(); pictures(); differences(); filter();
$('filter').oninput = filter;
$('value').onchange = $('smooth').oninput = $('log').onchange = draw;
$('step').oninput = showStep; $('all').onchange = differences;
$('curves').onpointermove = e => tell(nearest(new Map([...lines].map(([k, one]) => [k, one.drawn])), e, $('curves')));
for (const name of ['curves', 'parallel']) { $(name).onkeydown = walk; $(name).onpointerleave = () => tell(-1); }
addEventListener('resize', draw);
})();
