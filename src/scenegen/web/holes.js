/* ---- 14. Holes: a photograph under the map, and a second layer that says where it is missing ---- */
async function takePhoto(blob) {
  photo = await handed(blob, 'photo', $('fit').value);
  show($('photo'), await createImageBitmap(await (await ask('kept', { key: photo.key })).blob()));
  changed({ whole: true }); keepDrawing();
}
function firstHole() {                           // something to see: a box in the middle
  const was = S.layer;
  S.layer = 'hole'; S.maps.hole = new Uint16Array(S.w * S.h);
  box({ x: Math.round(S.w * .38), y: Math.round(S.h * .38) }, { x: Math.round(S.w * .62), y: Math.round(S.h * .62) }, 1);
  S.layer = was;
}
function layers() {
  S.layer = S.run.layers.includes('hole') ? 'hole' : 'map';
  $('layers').hidden = S.run.layers.length < 2;
  for (const layer of S.run.layers) {
    const b = document.createElement('button');
    b.id = 'layer-' + layer; b.setAttribute('role', 'radio'); b.textContent = layer[0].toUpperCase() + layer.slice(1);
    b.onclick = () => chooseLayer(layer);
    $('layers').append(b);
  }
  $('layers').onkeydown = e => { if (/^Arrow/.test(e.key)) { e.preventDefault(); e.stopPropagation(); KEYS.j(); $('layer-' + S.layer).focus(); } };
  showLayer();
}
function chooseLayer(layer) {
  if (layer === S.layer) return;
  giveUp();
  S.layer = layer;
  showLayer(); setClass(layer === 'hole' ? 1 : S.ids[(S.h >> 1) * S.w + (S.w >> 1)]); redraw();
}
function showLayer() {
  const hole = S.layer === 'hole';
  for (const layer of S.run.layers) { const b = $('layer-' + layer); b.setAttribute('aria-checked', layer === S.layer); b.setAttribute('aria-pressed', layer === S.layer); b.tabIndex = layer === S.layer ? 0 : -1; }
  colours(); palette();
  $('t-classes').textContent = hole ? 'Hole' : 'Classes';
  $('search').hidden = hole; $('bits').hidden = hole;
  $('photo').hidden = !hole;
  $('save-map').textContent = hole ? 'Save mask' : 'Save map';
  $('save-map').title = hole ? 'Save the mask as a PNG, white where the picture is missing' : 'Save the class ids as a PNG';
  $('hint').setAttribute('aria-label', hole ? 'Photograph with its hole' : 'Label map');
}
/* The pictures of the last drawing, handed over again */
async function restore(old) {
  try {
    if (old.photo && S.run.layers.includes('hole')) await takePhoto(asBlob(old.photo.text));
    if (old.style && S.run.style) setStyle(old.style.key ? { key: old.style.key } : await handed(asBlob(old.style.text), 'style', old.style.fit));
  } catch (error) { tell(error); }
}
