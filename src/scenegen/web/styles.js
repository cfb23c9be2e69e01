/* ---- 13. Style: a picture that is dropped or opened, or a training picture whose classes have shares like the map's ---- */
const asText = blob => new Promise((done, fail) => { const reader = new FileReader(); reader.onload = () => done(reader.result); reader.onerror = fail; reader.readAsDataURL(blob); });
const asBlob = text => { const [head, body] = text.split(','), raw = atob(body); return new Blob([Uint8Array.from(raw, c => c.charCodeAt(0))], { type: head.slice(5).split(';')[0] }); };
function fits(file) {
  if (file && file.size > S.run.most_bytes) say(`${file.name} is larger than the ${S.run.most_bytes >> 20} MiB that the page takes; save it smaller.`);
  return file && file.size <= S.run.most_bytes;
}
async function handed(blob, purpose, fit) {      // the server keeps it in memory, under a key
  const { key, notice } = await (await ask('keep', { body: blob, as: purpose, fit })).json();
  if (notice) say(notice);
  return { key, blob, fit, text: await asText(blob) };
}
async function handOver() {                      // to a server that was started anew
  for (const [one, purpose] of [[style, 'style'], [photo, 'photo']])
    if (one && one.blob) await ask('keep', { body: one.blob, as: purpose, fit: one.fit, again: false });
}
function setStyle(one) {
  style = one;
  $('style-now').hidden = !style; $('style-none').disabled = !style;
  if (style) { $('style-now').src = style.blob ? URL.createObjectURL(style.blob) : 'kept?key=' + style.key; $('style-now').alt = 'the style'; }
  for (const b of $('suggestions').children) mark(b);
  changed({ whole: true }); keepDrawing();
}
function styling() {
  $('style-bar').hidden = !S.run.style; $('style-suggest').hidden = !S.run.suggests;
  $('style-none').hidden = S.run.style === 'exemplar'; $('style-none').disabled = true;
  if (S.run.style === 'exemplar') $('style-bar').firstElementChild.textContent = 'Exemplar';
}
/* A run that paints with exemplars waits for one; one that fills holes waits for a photograph */
const ready = () => !(S.run.runs.some(one => one.style === 'exemplar') && !style) && !(S.run.layers.includes('hole') && !photo);
async function openStyle(file) {
  if (!fits(file)) return;
  try { setStyle(await handed(file, 'style', $('fit').value)); }
  catch (error) { if (!(error instanceof Lost)) say(`${file.name} was not taken: ${error.message}`); }
}
const mark = b => { const on = !!style && style.key === b.value; b.setAttribute('aria-checked', on); b.tabIndex = on || (!style || !style.key.startsWith('training-')) && b === b.parentNode.firstChild ? 0 : -1; };
async function suggest() {
  const all = await (await ask('suggest', { body: bytes() })).json();
  $('suggestions').replaceChildren(...all.map(one => {
    const b = document.createElement('button'), picture = document.createElement('img');
    b.setAttribute('role', 'radio'); b.value = one.key; b.title = `${one.name}, likeness ${one.likeness.toFixed(2)}`;
    b.setAttribute('aria-label', b.title);
    picture.src = 'kept?key=' + one.key; picture.alt = '';
    b.append(picture, one.likeness.toFixed(2));
    b.onclick = () => setStyle({ key: one.key });
    return b;
  }));
  for (const b of $('suggestions').children) mark(b);
  return all;
}
async function showSuggestions(on) {
  $('suggestions').hidden = !on; $('style-suggest').setAttribute('aria-expanded', on);
  if (on) try { say('Looking through the training pictures …'); await suggest(); say(''); } catch (error) { tell(error); }
  fitSheets();
}
$('style-suggest').onclick = () => { if (S.run.suggests) showSuggestions($('suggestions').hidden); };
$('suggestions').onkeydown = e => {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key], all = [...$('suggestions').children];
  if (!by || !all.length) return;
  e.preventDefault(); e.stopPropagation();
  const next = all[(all.indexOf(document.activeElement) + by + all.length) % all.length];
  next.focus(); next.click();
};
$('style-open').onclick = () => $('style-file').click();
$('style-file').onchange = () => { openStyle($('style-file').files[0]); $('style-file').value = ''; };
$('style-none').onclick = () => setStyle(null);
{
  const card = document.querySelector('.picture');
  card.ondragover = e => { if (!S.run || !S.run.style) return; e.preventDefault(); card.classList.add('dropping'); };
  card.ondragleave = () => card.classList.remove('dropping');
  card.ondrop = e => { e.preventDefault(); card.classList.remove('dropping'); if (S.run.style) openStyle(e.dataTransfer.files[0]); };
}
