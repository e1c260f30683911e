// The page: what is shown when. The work is the worker's, the picture is picture.js's, the words are words.js's.

import { draw } from "./picture.js";
import { words } from "./words.js";

const $ = (id) => document.getElementById(id);
const show = (id, isShown) => { $(id).hidden = !isShown; };

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
const say = () => words[language];

/** The recording at work, or none: its name, what is known, the worker, and what it plays. */
let current = null;

function speak() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = say().title;
  $("language").textContent = say().language;
  for (const element of document.querySelectorAll("[data-words]")) element.textContent = say()[element.dataset.words];
  if (recording) $("record").textContent = say().stop(recording.seconds());
  if (current) tell();
}

$("language").onclick = () => {
  language = language === "en" ? "zh" : "en";
  localStorage.setItem("language", language);
  speak();
};

// One recording from beginning to end.

function open(bytes, name) {
  close();
  const worker = new Worker("worker.js");
  current = { name, worker, known: null, analysis: null, stage: -1, fraction: 0, begun: performance.now() };
  worker.onmessage = ({ data }) => heard[data.kind](data);
  worker.onerror = (event) => { event.preventDefault(); heard.crashed({ why: event.message }); };
  worker.postMessage({ bytes, name }, [bytes]);
  for (const id of ["listen", "another"]) show(id, false);
  for (const id of ["after", "gain"]) document.querySelector(`#legend .${id}`).hidden = true;
  show("start", false);
  show("failure", false);
  show("busy", true);
  show("work", true);
  $("picture").getContext("2d").clearRect(0, 0, $("picture").width, $("picture").height);
  tell();
}

const heard = {
  opened({ shape, sound, level }) {
    current.known = { duration_s: shape.duration_s, hop_s: shape.level_hop_s, share: 0, before: level };
    current.before = player(sound, level);
    picture();
  },
  progress({ stage, fraction }) {
    current.stage = stage;
    current.fraction = fraction;
    if (stage === 0 && current.known) current.known.share = fraction;
    if (stage > 0) current.known.share = 1;
    tell();
    picture();
  },
  done({ analysis, story, restored }) {
    current.worker.terminate();
    current.took_s = (performance.now() - current.begun) / 1000;
    current.analysis = analysis;
    current.story = story;
    current.known.share = 1;
    if (restored) {
      current.known.after = restored.level;
      current.known.gain = analysis.gain_curve;
      current.after = player(restored.sound, restored.level);
      matchLoudness();
      hear("after");
      $("download").href = current.after.url;
      $("download").download = current.name.replace(/\.[^.]*$/, "") + ".restored.wav";
      show("listen", true);
      for (const id of ["after", "gain"]) document.querySelector(`#legend .${id}`).hidden = false;
    }
    show("busy", false);
    show("another", true);
    tell();
    picture();
    $("work").dataset.outcome = analysis.verdict.outcome;
    $("work").dataset.tookS = current.took_s.toFixed(2);
  },
  failed({ why }) {
    close();
    $("failure").textContent = say().failed(why);
    show("failure", true);
  },
  crashed() {
    heard.failed({ why: say().crashed });
  },
};

function close() {
  if (!current) return;
  current.worker.terminate();
  for (const side of [current.before, current.after]) {
    if (side) {
      side.audio.pause();
      URL.revokeObjectURL(side.url);
    }
  }
  current = null;
  delete $("work").dataset.outcome;
  show("work", false);
  show("start", true);
}

// What is said of it.

/** Share of the whole work that is done, by what the stages take. */
function share({ stage, fraction }) {
  const until = [0.03, 0.2, 0.9, 0.98, 1];
  return stage < 0 ? 0 : until[stage] + fraction * (until[stage + 1] - until[stage]);
}

function tell() {
  $("name").textContent = current.name;
  $("picture").setAttribute("aria-label", say().picture(current.name));
  $("progress").value = share(current);
  $("stage").textContent = current.stage < 0 ? say().reading : say().stages[current.stage];
  $("play").textContent = isPlaying() ? say().pause : say().play;
  const { analysis } = current;
  $("finding").textContent = "";
  if (!analysis) return;
  const { outcome } = analysis.verdict;
  if (outcome !== "agc") {
    $("finding").textContent = say()[outcome];
    return;
  }
  $("finding").textContent = say().agc({ ...current.story, p_value: analysis.evidence.p_value });
}

let isDrawing = false;
function picture() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    if (current?.known) draw($("picture"), current.known, say());
  });
}
window.addEventListener("resize", picture);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", picture);

// Before and after, at one place of the music and equally loud.

function player(sound, level) {
  const url = URL.createObjectURL(new Blob([sound], { type: "audio/wav" }));
  const audio = new Audio(url);
  audio.onended = tell;
  const power = level.reduce((sum, db) => sum + 10 ** (db / 10), 0) / level.length;
  return { url, audio, power };
}

function matchLoudness() {
  const softest = Math.min(current.before.power, current.after.power);
  for (const side of [current.before, current.after]) side.audio.volume = Math.sqrt(softest / side.power);
}

const isPlaying = () => Boolean(current?.heard && !current[current.heard].audio.paused);

function hear(side) {
  const was = current.heard;
  const plays = isPlaying();
  if (was && was !== side) {
    current[was].audio.pause();
    current[side].audio.currentTime = current[was].audio.currentTime;
  }
  current.heard = side;
  if (plays) current[side].audio.play();
  $("hear-before").setAttribute("aria-pressed", String(side === "before"));
  $("hear-after").setAttribute("aria-pressed", String(side === "after"));
}

$("hear-before").onclick = () => hear("before");
$("hear-after").onclick = () => hear("after");
$("play").onclick = async () => {
  const { audio } = current[current.heard];
  if (audio.paused) await audio.play();
  else audio.pause();
  tell();
};

$("cancel").onclick = close;
$("another").onclick = close;

// Files, dropped or chosen.

async function take(file) {
  if (file) open(await file.arrayBuffer(), file.name);
}

$("file").onchange = async () => {
  await take($("file").files[0]);
  $("file").value = "";
};
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}

// The microphone. What browsers do to it is switched off as far as they let it be.

let recording = null;

async function record() {
  show("failure", false);
  const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  const context = new AudioContext();
  await context.audioWorklet.addModule("recorder.js");
  const node = new AudioWorkletNode(context, "recorder");
  const blocks = [];
  node.port.onmessage = ({ data }) => blocks.push(data);
  context.createMediaStreamSource(stream).connect(node);
  const begun = performance.now();
  const seconds = () => Math.round((performance.now() - begun) / 1000);
  const ticking = setInterval(speak, 1000);
  recording = {
    seconds,
    async stop() {
      clearInterval(ticking);
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      return wav(blocks, context.sampleRate);
    },
  };
}

/** A WAV file of 32-bit floats. */
function wav(blocks, rate) {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const bytes = new ArrayBuffer(44 + 4 * length);
  const view = new DataView(bytes);
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 4 * length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * rate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 32, true);
  text(36, "data");
  view.setUint32(40, 4 * length, true);
  let at = 44;
  for (const block of blocks) for (const sample of block) { view.setFloat32(at, sample, true); at += 4; }
  return bytes;
}

$("record").onclick = async () => {
  try {
    if (recording) {
      const ended = recording;
      recording = null;
      $("record").classList.remove("on");
      open(await ended.stop(), `${new Date().toISOString().slice(0, 19).replaceAll(":", ".")}.wav`);
    } else {
      await record();
      $("record").classList.add("on");
    }
  } catch {
    recording = null;
    $("failure").textContent = say().noMicrophone;
    show("failure", true);
  }
  speak();
};

/** What was found, as `agcfix analyze --json` writes it: for the tests, and for whoever opens the console. */
window.agcfixAnalysis = () => current?.analysis;

speak();
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("offline.js").then(() => navigator.serviceWorker.ready).then(() => show("offline", true)).catch(() => {});
}
