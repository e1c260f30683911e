// The sound. All tracks run on one clock and one of them is heard, so that switching neither jumps nor gaps.
// Two players with the same face: BufferPlayer for sound inside the page, ElementPlayer for files beside it.

const FADE_S = 0.012; // Long enough not to click, too short to be heard as a fade.
const amplitude = (db) => 10 ** (db / 20);

class BufferPlayer {
  constructor(tracks) {
    this.tracks = tracks;
    this.heard = 0;
    this.matched = true;
    this.playing = false;
    this.at = 0;
    this.sources = [];
  }

  // Decoding needs no permission to play, so it is done in a context of its own.
  async load() {
    for (const track of this.tracks) {
      const coded = atob(document.getElementById(track.sound.id).textContent.trim());
      const bytes = Uint8Array.from(coded, (c) => c.charCodeAt(0));
      track.buffer = await new OfflineAudioContext(1, 1, track.sound.rate_hz).decodeAudioData(bytes.buffer);
    }
  }

  get position() {
    return this.playing ? Math.min(this.at + this.context.currentTime - this.since, this.length) : this.at;
  }

  get length() {
    return Math.max(...this.tracks.map((track) => track.buffer.duration));
  }

  play(at = this.position) {
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    this.output ??= this.context.destination;
    this.context.resume();
    this.stop();
    this.at = at >= this.length - 0.02 ? 0 : Math.max(0, at);
    this.since = this.context.currentTime + 0.02;
    this.sources = this.tracks.map((track, index) => {
      const source = new AudioBufferSourceNode(this.context, { buffer: track.buffer });
      const level = new GainNode(this.context, { gain: 0 });
      level.gain.setTargetAtTime(this.level(index), this.since, FADE_S / 3);
      source.connect(level).connect(this.output);
      source.start(this.since, this.at);
      return { source, level };
    });
    this.playing = true;
  }

  pause() {
    this.at = this.position;
    this.stop();
  }

  stop() {
    this.playing = false;
    const now = this.context?.currentTime;
    for (const { source, level } of this.sources) {
      level.gain.setTargetAtTime(0, now, FADE_S / 3);
      source.stop(now + 2 * FADE_S);
    }
    this.sources = [];
  }

  // What a track sounds at: silent unless heard, and turned down to the softest one's loudness when matched.
  level(index) {
    if (index !== this.heard) return 0;
    return this.matched ? amplitude(this.tracks[index].matched_db) : 1;
  }

  hear(index) {
    this.heard = index;
    this.fade();
  }

  match(matched) {
    this.matched = matched;
    this.fade();
  }

  fade() {
    const now = this.context?.currentTime;
    this.sources.forEach(({ level }, index) => {
      level.gain.cancelScheduledValues(now);
      level.gain.setTargetAtTime(this.level(index), now, FADE_S / 3);
    });
  }
}

class ElementPlayer {
  constructor(tracks) {
    this.tracks = tracks;
    this.heard = 0;
    this.matched = true;
    this.elements = [];
  }

  load() {
    this.elements = this.tracks.map((track) => Object.assign(new Audio(), { src: track.sound.href, preload: "auto" }));
    this.fade();
    return Promise.all(this.elements.map((element, index) => new Promise((loaded, failed) => {
      element.addEventListener("loadedmetadata", loaded, { once: true });
      element.addEventListener("error", () => failed(new Error(`${this.tracks[index].sound.href} cannot be played`)), { once: true });
    })));
  }

  get master() { return this.elements[this.heard]; }
  get playing() { return this.elements.length > 0 && !this.master.paused && !this.master.ended; }
  get position() { return this.master?.currentTime ?? 0; }
  get length() { return Math.max(...this.elements.map((element) => element.duration)); }

  play(at = this.position) {
    const from = at >= this.length - 0.02 ? 0 : Math.max(0, at);
    for (const element of this.elements) {
      element.currentTime = from;
      element.play().catch(() => {}); // Paused again before it began: nothing to tell.
    }
  }

  pause() { this.elements.forEach((element) => element.pause()); }
  stop() { this.pause(); }

  hear(index) {
    const from = this.position;
    this.heard = index;
    // Files drift apart by a frame or so; only a gap that can be heard is worth a jump.
    if (this.master && Math.abs(this.master.currentTime - from) > 0.03) this.master.currentTime = from;
    this.fade();
  }

  match(matched) { this.matched = matched; this.fade(); }

  fade() {
    this.elements.forEach((element, index) => {
      const db = this.matched ? this.tracks[index].matched_db : 0;
      element.volume = amplitude(Math.min(0, db));
      element.muted = index !== this.heard; // Some phones ignore the volume.
    });
  }
}
