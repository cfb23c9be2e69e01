/* ---- 12. Mask accuracy: the segmenter reads the picture that is shown; pixels that it reads otherwise are marked ---- */
const judged = [-1, -1];
function judging() {
  const map = S.run.layers.includes('map');
  $('judge').hidden = !map; $('judge').disabled = !S.run.reader;
  if (!S.run.reader) $('judge').title = 'No segmenter reads the classes of this run.';
  $('from-photo').hidden = !S.run.reader && !S.run.layers.includes('hole');
  if (S.run.layers.includes('hole')) $('from-photo').title = 'Open the photograph whose hole is filled (G)';
}
$('judge').onclick = () => {
  if ($('judge').disabled) return;
  const on = $('judge').getAttribute('aria-pressed') !== 'true';
  $('judge').setAttribute('aria-pressed', on);
  if (on && S.run.reader.caution) say(`Mask accuracy: ${S.run.reader.caution}.`);
  judged.fill(-1); judge();
};
async function judge() {
  const on = $('judge').getAttribute('aria-pressed') === 'true';
  S.run.runs.forEach((one, k) => { if (!on) { $('marks-' + k).hidden = true; $('share-' + k).textContent = ''; } });
  if (!on) return;
  for (const [k, blob, made] of [[0, pictureBlob, pictureVersion], [1, secondBlob, secondVersion]]) {
    if (!blob || made !== version || judged[k] === version) continue;
    const v = version, ids = S.maps.map;
    try {
      const read = await idsOf(await ask('read', { body: blob }));
      if (v !== version) return;
      judged[k] = v;
      markWrong($('marks-' + k), ids, read);
      $('share-' + k).textContent = `mask accuracy ${(100 * accuracy(ids, read)).toFixed(1)} % (${S.run.reader.name})`;
    } catch (error) { tell(error); return; }
  }
}
const counts = id => id !== S.run.ignore;
function accuracy(ids, read) {                   // share of the pixels that count; metrics/accuracy.py
  let right = 0, all = 0;
  ids.forEach((id, k) => { if (counts(id)) { all++; right += read[k] === id; } });
  return all ? right / all : NaN;
}
function markWrong(canvas, ids, read) {          // hatched, so that it is seen without its colour too
  const k = 4, W = S.w * k, dark = 0xff3c14dc, pale = 0x503c14dc;
  canvas.width = W; canvas.height = S.h * k;
  const ctx = canvas.getContext('2d'), image = ctx.createImageData(W, S.h * k), out = new Uint32Array(image.data.buffer);
  ids.forEach((id, at) => {
    if (!counts(id) || read[at] === id) return;
    const x = at % S.w * k, y = (at / S.w | 0) * k;
    for (let j = 0; j < k; j++) for (let i = 0; i < k; i++) out[(y + j) * W + x + i] = (x + i + y + j) % 8 < 2 ? dark : pale;
  });
  ctx.putImageData(image, 0, 0);
  canvas.hidden = false;
}
/* The map of a photograph, or the photograph whose hole is filled */
async function openPhoto(file) {
  if (!fits(file)) return;
  try {
    if (S.run.layers.includes('hole')) { await takePhoto(file); return; }
    const answer = await ask('read', { body: file, fit: $('fit').value });
    replaceMap(await idsOf(answer));
    say(`The map of ${file.name}, as ${S.run.reader.name} reads it. ${decodeURIComponent(answer.headers.get('x-notice') || '')}`);
  } catch (error) { if (!(error instanceof Lost)) say(`${file.name} was not opened: ${error.message}`); }
}
$('from-photo').onclick = () => { if (!$('from-photo').hidden) $('photo-file').click(); };
$('photo-file').onchange = () => { openPhoto($('photo-file').files[0]); $('photo-file').value = ''; };
