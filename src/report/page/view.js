// The picture: waveform, the device's gain, spectrogram with partials, over one time axis that can be moved and zoomed.
// `base` is drawn when something changes, `overlay` (cursor and what is pointed at) at every frame.

const LEFT = 46, RIGHT = 10, TOP = 22, BETWEEN = 34, BOTTOM = 24;
const SHORTEST_S = 0.2; // Deepest zoom.
const TRACK_COLOURS = ["before", "after", "other", "release", "attack", "dim"];
const NEAR_PX = 9; // How far a pointer may be from what it points at.

class View {
  constructor(data, analysis, picture, overlay, spectrogram) {
    Object.assign(this, { data, picture, overlay, spectrogram });
    this.base = picture.getContext("2d");
    this.top = overlay.getContext("2d");
    // Either the one curve of an analysis, with its band, or a line for each of several recordings.
    this.lines = data.gains?.lines;
    this.curve = this.lines ? { start_s: 0, hop_s: 1, gain_db: [], lower_db: [], upper_db: [] } : analysis.gain_curve;
    this.events = this.lines ? [] : analysis.events;
    this.isKnown = this.lines || analysis.verdict.outcome === "agc" || this.curve.gain_db.some((gain) => gain !== 0);
    this.isTrusted = this.lines || analysis.verdict.outcome !== "undecided" || analysis.restoration !== undefined;
    this.duration = data.duration_s;
    this.from = 0;
    this.to = this.duration;
    this.cursor = 0;
    this.heard = 0;
    const gains = this.lines ? this.lines.flatMap((line) => line.gain_db) : this.curve.lower_db.concat(this.curve.upper_db);
    const [low_db, high_db] = spread(gains.filter(Number.isFinite));
    this.low_db = Math.min(-3, low_db - 1);
    this.high_db = Math.max(1, high_db);
    this.high_db += 0.14 * (this.high_db - this.low_db); // Room for the marks.
    for (const track of data.tracks) {
      track.peaks = Uint8Array.from(atob(track.peaks_u8), (c) => c.charCodeAt(0));
    }
    this.loudest = Math.max(1e-3, ...data.tracks.map((track) => spread(track.peaks)[1] / 255 * this.scale(track)));
    new ResizeObserver(() => this.resize()).observe(picture);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
  }

  // Tracks are drawn as loud as they are heard: matched.
  scale(track) { return amplitude(track.matched_db); }

  resize() {
    const dots = window.devicePixelRatio || 1;
    const { width, height } = this.picture.getBoundingClientRect();
    for (const canvas of [this.picture, this.overlay]) {
      canvas.width = Math.round(width * dots);
      canvas.height = Math.round(height * dots);
      canvas.getContext("2d").setTransform(dots, 0, 0, dots, 0, 0);
    }
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.trackColour = (index) => this.colour(TRACK_COLOURS[index % TRACK_COLOURS.length]);
    Object.assign(this, { width, height });
    const room = height - TOP - 2 * BETWEEN - BOTTOM;
    const panel = (top, share) => ({ top, height: room * share, left: LEFT, width: width - LEFT - RIGHT });
    this.wave = panel(TOP, 0.22);
    this.gain = panel(TOP + this.wave.height + BETWEEN, 0.3);
    this.tone = panel(this.gain.top + this.gain.height + BETWEEN, 0.48);
    this.draw();
  }

  x(time_s) { return LEFT + (time_s - this.from) / (this.to - this.from) * this.wave.width; }
  time(x) { return this.from + (x - LEFT) / this.wave.width * (this.to - this.from); }
  gainY(db) {
    const clamped = Math.min(this.high_db, Math.max(this.low_db, db));
    return this.gain.top + (this.high_db - clamped) / (this.high_db - this.low_db) * this.gain.height;
  }
  toneY(hz) {
    const { low_hz, high_hz } = this.data.spectrogram;
    return this.tone.top + Math.log(high_hz / hz) / Math.log(high_hz / low_hz) * this.tone.height;
  }

  show(from, to) {
    const length = Math.min(this.duration, Math.max(SHORTEST_S, to - from));
    this.from = Math.min(Math.max(0, from), this.duration - length);
    this.to = this.from + length;
    this.draw();
  }
  zoom(factor, around = this.cursor >= this.from && this.cursor <= this.to ? this.cursor : (this.from + this.to) / 2) {
    const length = Math.min(this.duration, Math.max(SHORTEST_S, (this.to - this.from) * factor));
    const share = (around - this.from) / (this.to - this.from);
    this.show(around - share * length, around + (1 - share) * length);
  }
  move(share) {
    const by = share * (this.to - this.from);
    this.show(this.from + by, this.to + by);
  }

  draw() {
    if (!this.width) return;
    const c = this.base;
    c.clearRect(0, 0, this.width, this.height);
    c.font = "12px system-ui, sans-serif";
    c.lineJoin = "round";
    this.times = timeTicks(this.from, this.to, this.wave.width / 80);
    this.drawWave(c);
    this.drawGain(c);
    this.drawTone(c);
    this.drawTimes(c);
    this.point(this.pointed);
  }

  heading(c, panel, text, remark) {
    c.textAlign = "left";
    c.fillStyle = this.colour("ink");
    c.font = "600 13px system-ui, sans-serif";
    c.fillText(text, panel.left, panel.top - 7);
    const width = c.measureText(text).width;
    c.font = "12px system-ui, sans-serif";
    c.fillStyle = this.colour("dim");
    if (LEFT + width + c.measureText(remark).width + 12 < this.width) c.fillText(remark, panel.left + width + 8, panel.top - 7);
  }

  // A panel's ground, with a line at every time that has a label.
  ground(c, panel) {
    c.fillStyle = this.colour("paper");
    c.fillRect(panel.left, panel.top, panel.width, panel.height);
    c.fillStyle = this.colour("faint");
    for (const time_s of this.times) c.fillRect(this.x(time_s), panel.top, 1, panel.height);
  }

  inside(c, panel, draw) {
    c.save();
    c.beginPath();
    c.rect(panel.left, panel.top, panel.width, panel.height);
    c.clip();
    draw();
    c.restore();
  }

  drawWave(c) {
    const panel = this.wave, middle = panel.top + panel.height / 2;
    const heard = this.data.tracks[this.heard].label;
    const others = this.data.tracks.length > 1 ? ", another behind it, equally loud" : "";
    this.heading(c, panel, "Waveform", `${this.lines ? heard : heard.toLowerCase()}${others}`);
    this.ground(c, panel);
    const order = this.data.tracks.map((_, index) => index).filter((index) => index !== this.heard && index < 2);
    for (const index of [...order, this.heard]) {
      const track = this.data.tracks[index];
      const factor = panel.height / 2 / this.loudest * this.scale(track);
      c.globalAlpha = index === this.heard ? 0.85 : 0.4;
      c.fillStyle = this.trackColour(index);
      c.beginPath();
      for (let px = 0; px < panel.width; px++) {
        const half = Math.max(0.5, factor * this.peak(track, this.time(LEFT + px), this.time(LEFT + px + 1)));
        c.rect(LEFT + px, middle - half, 1, 2 * half);
      }
      c.fill();
    }
    c.globalAlpha = 1;
  }

  // Highest sample of a stretch: from the samples themselves where they are at hand and the stretch is short.
  peak(track, from, to) {
    const { peaks, buffer } = track;
    const per_s = peaks.length / this.duration;
    if (buffer && (to - from) * per_s < 1) {
      const first = Math.floor(from * buffer.sampleRate), end = Math.ceil(to * buffer.sampleRate);
      let highest = 0;
      for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
        const samples = buffer.getChannelData(channel);
        for (let n = first; n < end && n < samples.length; n++) highest = Math.max(highest, Math.abs(samples[n]));
      }
      return highest;
    }
    let highest = 0;
    const end = Math.max(Math.ceil(to * per_s), Math.floor(from * per_s) + 1);
    for (let n = Math.floor(from * per_s); n < end && n < peaks.length; n++) highest = Math.max(highest, peaks[n]);
    return highest / 255;
  }

  drawGain(c) {
    const panel = this.gain, { start_s, hop_s, gain_db, lower_db, upper_db } = this.curve;
    if (this.lines) this.heading(c, panel, this.data.gains.heading, this.data.gains.remark);
    else if (this.isTrusted) this.heading(c, panel, "What the device did to the volume", "dB, ▼ it turned down, ▲ it turned up");
    else this.heading(c, panel, "What the device might have done to the volume", "dB; a guess that is not trusted");
    this.ground(c, panel);
    for (const db of ticks(this.low_db, this.high_db, panel.height / 34)) this.line(c, panel, this.gainY(db), label(db));
    const first = Math.max(0, Math.floor((this.from - start_s) / hop_s));
    const end = Math.min(gain_db.length, Math.ceil((this.to - start_s) / hop_s) + 1);
    if (this.lines) return this.inside(c, panel, () => this.drawLines(c, panel));
    this.inside(c, panel, () => {
      const step = Math.max(1, Math.floor((end - first) / panel.width / 4));
      const path = (values, pick, backwards) => {
        const points = [];
        for (let n = first; n < end; n += step) {
          let value = values[n];
          for (let k = n + 1; k < Math.min(end, n + step); k++) value = pick(value, values[k]);
          if (Number.isFinite(value)) points.push([this.x(start_s + n * hop_s), this.gainY(value)]);
        }
        (backwards ? points.reverse() : points).forEach(([x, y]) => c.lineTo(x, y));
      };
      c.fillStyle = this.colour("band");
      c.beginPath();
      path(upper_db, Math.max, false);
      path(lower_db, Math.min, true);
      c.fill();
      c.strokeStyle = this.colour("ink");
      c.lineWidth = 1.6;
      c.beginPath();
      path(gain_db, Math.min, false);
      c.stroke();
      for (const event of this.shownEvents()) this.mark(c, event, 5);
    });
    if (!this.isKnown) {
      c.fillStyle = this.colour("dim");
      c.textAlign = "center";
      c.fillText("no gain control found, or none that can be told", panel.left + panel.width / 2, panel.top + panel.height / 2 + 16);
    }
  }

  // One line a recording, the one that is heard on top; a mean for each pixel, a gap where nothing is known.
  drawLines(c, panel) {
    const order = [...this.lines].sort((a, b) => (a.track === this.heard) - (b.track === this.heard));
    for (const { track, start_s, hop_s, gain_db } of order) {
      c.strokeStyle = this.trackColour(track);
      c.lineWidth = track === this.heard ? 2.2 : 1.2;
      c.beginPath();
      const per_px = (this.to - this.from) / panel.width / hop_s;
      const first = Math.max(0, Math.floor((this.from - start_s) / hop_s));
      const step = Math.max(1, Math.floor(per_px));
      let joins = false;
      for (let n = first - first % step; n < gain_db.length && start_s + (n - step) * hop_s <= this.to; n += step) {
        const known = gain_db.slice(n, n + step).filter(Number.isFinite);
        if (2 * known.length < step) { joins = false; continue; }
        const x = this.x(start_s + (n + (step - 1) / 2) * hop_s), y = this.gainY(known.reduce((a, b) => a + b) / known.length);
        if (joins) c.lineTo(x, y);
        else c.moveTo(x, y);
        joins = true;
      }
      c.stroke();
    }
  }

  gainAt(time_s) {
    const { start_s, hop_s, gain_db } = this.curve;
    return Math.min(gain_db.length - 1, Math.max(0, Math.round((time_s - start_s) / hop_s)));
  }

  // The largest events, none on top of another.
  shownEvents() {
    const taken = new Set();
    return this.events
      .filter((event) => event.end_s >= this.from && event.start_s <= this.to)
      .sort((a, b) => Math.abs(b.change_db) - Math.abs(a.change_db))
      .filter((event) => {
        const slot = `${event.kind} ${Math.round(this.x(eventTime(event)) / 9)}`;
        return !taken.has(slot) && taken.add(slot);
      });
  }

  mark(c, event, size) {
    const attack = event.kind === "attack";
    const x = this.x(eventTime(event)), way = attack ? -1 : 1;
    const y = this.gainY(this.curve.gain_db[this.gainAt(eventTime(event))]) + way * 5;
    c.fillStyle = this.colour(event.kind);
    c.beginPath();
    c.moveTo(x, y);
    c.lineTo(x - size, y + way * size * 1.6);
    c.lineTo(x + size, y + way * size * 1.6);
    c.fill();
  }

  drawTone(c) {
    const panel = this.tone, { low_hz, high_hz } = this.data.spectrogram;
    this.heading(c, panel, "Strings", "Hz, every line is a partial that fades");
    this.inside(c, panel, () => {
      const image = this.spectrogram;
      c.fillStyle = "#00224e";
      c.fillRect(panel.left, panel.top, panel.width, panel.height);
      if (image.complete && image.naturalWidth) {
        const per_s = image.naturalWidth / this.duration;
        c.drawImage(image, this.from * per_s, 0, (this.to - this.from) * per_s, image.naturalHeight,
          panel.left, panel.top, panel.width, panel.height);
      }
      c.strokeStyle = this.colour("decay");
      c.lineWidth = 1.5;
      for (const [start, end, hz, level_db, decay] of this.data.decays) {
        if (end < this.from || start > this.to) continue;
        const y = this.toneY(hz), left = this.x(start), right = this.x(end);
        // As opaque as the fit is loud there.
        const fade = c.createLinearGradient(left, 0, right, 0);
        fade.addColorStop(0, this.decayColour(level_db));
        fade.addColorStop(1, this.decayColour(level_db - decay * (end - start)));
        c.strokeStyle = fade;
        c.beginPath();
        c.moveTo(left, y);
        c.lineTo(right, y);
        c.stroke();
      }
    });
    for (const hz of [50, 100, 200, 500, 1000, 2000, 5000]) {
      if (hz >= low_hz && hz <= high_hz) this.line(c, panel, this.toneY(hz), String(hz), true);
    }
  }

  decayColour(level_db) {
    const share = 1 - (this.data.loudest_decay_db - level_db) / 70;
    return `rgba(240, 228, 66, ${(0.85 * Math.min(1, Math.max(0.1, share))).toFixed(2)})`;
  }

  drawTimes(c) {
    c.textAlign = "center";
    c.fillStyle = this.colour("dim");
    const y = this.height - BOTTOM + 16;
    for (const time_s of this.times) {
      const x = this.x(time_s);
      c.fillStyle = this.colour("faint");
      c.fillRect(x, this.tone.top + this.tone.height, 1, 4);
      c.fillStyle = this.colour("dim");
      c.fillText(clock(time_s, this.to - this.from < 20 ? 1 : 0), Math.min(x, this.width - 18), y);
    }
  }

  line(c, panel, y, text, outside) {
    c.fillStyle = this.colour("faint");
    c.fillRect(outside ? panel.left - 4 : panel.left, Math.round(y), outside ? 4 : panel.width, 1);
    c.fillStyle = this.colour("dim");
    c.textAlign = "right";
    c.fillText(text, panel.left - 7, y + 4);
  }

  // What lies near a place in the picture, in words; marks it on the overlay.
  point(at) {
    this.pointed = at;
    if (!this.width) return "";
    const c = this.top;
    c.clearRect(0, 0, this.width, this.height);
    const bottom = this.tone.top + this.tone.height;
    const x = this.x(this.cursor);
    if (x >= LEFT && x <= this.width - RIGHT) {
      c.fillStyle = this.colour("attack");
      c.fillRect(x - 1, TOP, 2, bottom - TOP);
    }
    if (!at || at.x < LEFT || at.x > this.width - RIGHT) return "";
    c.fillStyle = this.colour("dim");
    c.fillRect(at.x, TOP, 1, bottom - TOP);
    const time_s = this.time(at.x), n = this.gainAt(time_s);
    const words = [`<b>${time_s.toFixed(2)} s</b>`];
    if (!this.lines && this.isKnown && Number.isFinite(this.curve.gain_db[n])) {
      c.fillStyle = this.colour("ink");
      c.beginPath();
      c.arc(at.x, this.gainY(this.curve.gain_db[n]), 4, 0, 7);
      c.fill();
      words.push(`gain <b>${label(this.curve.gain_db[n], 1)} dB</b> (${label(this.curve.lower_db[n], 1)} to ${label(this.curve.upper_db[n], 1)})`);
    }
    for (const { track, start_s, hop_s, gain_db } of this.lines ?? []) {
      const gain = gain_db[Math.round((time_s - start_s) / hop_s)];
      if (!Number.isFinite(gain)) continue;
      c.fillStyle = this.trackColour(track);
      c.beginPath();
      c.arc(at.x, this.gainY(gain), 4, 0, 7);
      c.fill();
      words.push(`${plain(this.data.tracks[track].label)} <b>${gain > 0 ? "+" : ""}${label(gain, 1)} dB</b>`);
    }
    const event = nearest(this.shownEvents(), (e) => Math.abs(this.x(eventTime(e)) - at.x));
    if (event) {
      this.mark(c, event, 8);
      const way = event.kind === "attack" ? "turned down" : "turned up";
      words.push(`${way} by <b>${Math.abs(event.change_db).toFixed(1)} ± ${event.error_db.toFixed(1)} dB</b> within ${Math.round(1000 * (event.end_s - event.start_s))} ms, ${event.partials_voted} partials voted`);
    }
    if (at.y >= this.tone.top && at.y <= bottom) {
      const decay = nearest(this.data.decays.filter(([start, end]) => start <= time_s && time_s <= end), (d) => Math.abs(this.toneY(d[2]) - at.y));
      if (decay) {
        const [start, end, hz, , rate] = decay, y = this.toneY(hz);
        c.strokeStyle = "#fff";
        c.lineWidth = 3;
        c.strokeRect(this.x(start), y - 2, this.x(end) - this.x(start), 4);
        words.push(`partial at <b>${hz.toFixed(1)} Hz</b> (${note(hz)}) fading by <b>${rate.toFixed(1)} dB/s</b>`);
      }
    }
    return words.join(" · ");
  }
}

// A track's name comes from a file's.
const plain = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const eventTime = (event) => event.kind === "attack" ? event.start_s : (event.start_s + event.end_s) / 2;

function nearest(things, distance) {
  let best = null, least = NEAR_PX;
  for (const thing of things) {
    const away = distance(thing);
    if (away < least) [best, least] = [thing, away];
  }
  return best;
}

// Lowest and highest; Math.min(...values) would run out of stack on long recordings.
function spread(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function niceStep(least, steps) {
  return steps.find((step) => step >= least) ?? steps[steps.length - 1];
}

function ticks(low, high, count) {
  const step = niceStep((high - low) / Math.max(1, count), [0.5, 1, 2, 5, 10, 20, 50, 100]);
  return Array.from({ length: Math.floor(high / step) - Math.ceil(low / step) + 1 }, (_, i) => (Math.ceil(low / step) + i) * step);
}

function timeTicks(from, to, count) {
  const step = niceStep((to - from) / count, [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]);
  return Array.from({ length: Math.floor(to / step) - Math.ceil(from / step) + 1 }, (_, i) => (Math.ceil(from / step) + i) * step);
}

const label = (value, digits = 0) => (value < 0 && value.toFixed(digits) != 0 ? "−" : "") + Math.abs(value).toFixed(digits);

function clock(time_s, digits) {
  const minutes = Math.floor(time_s / 60);
  return `${minutes}:${(time_s - 60 * minutes).toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
}

function note(hz) {
  const key = Math.round(69 + 12 * Math.log2(hz / 440));
  return ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"][key % 12] + (Math.floor(key / 12) - 1);
}
