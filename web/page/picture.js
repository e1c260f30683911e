// The picture: level as recorded and as played above, the phone's gain with its band below. Drawn anew whenever more is known.

const MARGIN = { left: 44, right: 10, top: 8, bottom: 22 };
const SHARE = 0.62;

/** A tidy step of about a `count`-th of `range`. */
function step(range, count) {
  const rough = range / count;
  const size = 10 ** Math.floor(Math.log10(rough));
  return size * [1, 2, 5, 10].find((factor) => factor * size >= rough);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{duration_s: number, hop_s: number, share: number, before: Float32Array, after?: Float32Array,
 *          gain?: {start_s: number, hop_s: number, gain_db: number[], lower_db: number[], upper_db: number[]}}} known
 * @param {{seconds: string}} words
 */
export function draw(canvas, known, words) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  pen.font = "12px system-ui, sans-serif";
  const x = (s) => MARGIN.left + (s / known.duration_s) * (width - MARGIN.left - MARGIN.right);
  const inner = height - MARGIN.top - MARGIN.bottom;

  const pane = (top, bottom, low, high) => {
    const y = (db) => bottom - ((Math.min(Math.max(db, low), high) - low) / (high - low)) * (bottom - top);
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--faint");
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const size = step(high - low, 4);
    for (let db = Math.ceil(low / size) * size; db <= high + 1e-9; db += size) {
      pen.beginPath();
      pen.moveTo(MARGIN.left, y(db));
      pen.lineTo(width - MARGIN.right, y(db));
      pen.stroke();
      pen.fillText(`${String(Math.round(db)).replace("-", "\u2212")} dB`, MARGIN.left - 4, y(db));
    }
    return y;
  };
  const line = (values, hop_s, start_s, y, paint, lineWidth) => {
    pen.strokeStyle = paint;
    pen.lineWidth = lineWidth;
    pen.lineJoin = "round";
    pen.beginPath();
    const last = Math.ceil(values.length * known.share);
    for (let i = 0; i < last; i++) pen.lineTo(x(start_s + i * hop_s), y(values[i]));
    pen.stroke();
  };

  // Levels: from the loudest of both to 60 dB below, or as far down as there is something.
  const all = [known.before, known.after ?? []].flatMap((level) => Array.from(level));
  const high = Math.ceil(Math.max(...all) / 5) * 5;
  const floor = all.filter((db) => db > -95).sort((a, b) => a - b);
  const low = Math.max(high - 60, Math.floor((floor[Math.floor(floor.length * 0.02)] ?? high - 60) / 5) * 5 - 5);
  const split = known.gain ? MARGIN.top + inner * SHARE : MARGIN.top + inner;
  const level = pane(MARGIN.top, split - (known.gain ? 10 : 0), low, high);
  pen.globalAlpha = known.after ? 0.75 : 1;
  line(known.before, known.hop_s, known.hop_s / 2, level, colour("--before"), 1.3);
  pen.globalAlpha = 1;
  if (known.after) line(known.after, known.hop_s, known.hop_s / 2, level, colour("--after"), 1.3);

  if (known.gain) {
    const { start_s, hop_s, gain_db, lower_db, upper_db } = known.gain;
    const reach = [Math.min(...lower_db), Math.max(...upper_db)];
    const y = pane(split + 10, MARGIN.top + inner, Math.floor(reach[0] - 0.5), Math.ceil(reach[1] + 0.5));
    pen.fillStyle = colour("--gain");
    pen.globalAlpha = 0.22;
    pen.beginPath();
    upper_db.forEach((db, i) => pen.lineTo(x(start_s + i * hop_s), y(db)));
    for (let i = lower_db.length - 1; i >= 0; i--) pen.lineTo(x(start_s + i * hop_s), y(lower_db[i]));
    pen.fill();
    pen.globalAlpha = 1;
    line(gain_db, hop_s, start_s, y, colour("--gain"), 1.3);
  }

  pen.fillStyle = colour("--faint");
  pen.textAlign = "center";
  pen.textBaseline = "bottom";
  const every = step(known.duration_s, width > 600 ? 9 : 5);
  for (let s = 0; s <= known.duration_s; s += every) {
    const text = `${Number(s.toFixed(2))} ${words.seconds}`;
    const half = pen.measureText(text).width / 2;
    pen.fillText(text, Math.min(x(s), width - half - 2), height - 2);
  }
}
