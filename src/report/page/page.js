// What the buttons, keys and pointers do.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("page-data").textContent);
const analysis = JSON.parse($("analysis").textContent);
const view = new View(data, analysis, $("picture"), $("overlay"), $("spectrogram"));
$("spectrogram").addEventListener("load", () => view.draw());

const sounds = data.tracks.filter((track) => track.sound);
const player = sounds[0]?.sound.href ? new ElementPlayer(sounds) : new BufferPlayer(sounds);

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function load() {
  $("play").disabled = true;
  if (!sounds.length) return notice("This page was made without sound.");
  try {
    await player.load();
    $("play").disabled = false;
    view.draw();
  } catch (error) {
    notice(`The sound cannot be played here: ${error.message}. Keep the sound files beside this page, or try another browser.`);
  }
  document.body.dataset.ready = $("play").disabled ? "silent" : "yes";
}

function play(at) {
  if (!$("play").disabled) player.play(at);
}

function toggle() {
  if (player.playing) player.pause();
  else play();
}

function seek(at) {
  const to = Math.min(view.duration, Math.max(0, at));
  if (player.playing) play(to);
  else { player.pause(); player.at = to; player.elements?.forEach((element) => { element.currentTime = to; }); }
}

function hear(index) {
  const choice = document.querySelectorAll("#tracks input")[index];
  if (!choice || choice.disabled) return;
  choice.checked = true;
  view.heard = index;
  if (sounds.length) player.hear(sounds.indexOf(data.tracks[index]));
  document.body.dataset.heard = index;
  view.draw();
}

// The clock, the cursor and the button follow the player, whoever moved it.
let shown = "";
function tick() {
  requestAnimationFrame(tick);
  const at = sounds.length && !$("play").disabled ? player.position : 0;
  if (player.playing && at >= Math.min(player.length, view.duration) - 0.005) player.pause();
  if (player.playing && at >= view.to - 0.005) {
    if ($("repeat").checked) return play(view.from);
    view.show(at, at + view.to - view.from);
  }
  const state = `${at} ${player.playing}`;
  if (state === shown) return;
  shown = state;
  view.cursor = at;
  view.point(view.pointed);
  $("clock").textContent = clock(at, 1);
  if (document.activeElement !== $("seek") || player.playing) $("seek").value = at;
  $("play").setAttribute("aria-pressed", player.playing);
  $("play").lastElementChild.textContent = player.playing ? "Pause" : "Play";
}

$("play").addEventListener("click", toggle);
$("seek").addEventListener("input", () => seek(Number($("seek").value)));
$("matched").addEventListener("change", () => player.match($("matched").checked));
document.querySelectorAll("#tracks input").forEach((choice, index) => choice.addEventListener("change", () => hear(index)));
$("in").addEventListener("click", () => view.zoom(0.5));
$("out").addEventListener("click", () => view.zoom(2));
$("earlier").addEventListener("click", () => view.move(-0.5));
$("later").addEventListener("click", () => view.move(0.5));
$("whole").addEventListener("click", () => view.show(0, view.duration));

// A spot: shown close up, and heard from a little before it.
function visit(time_s) {
  view.show(time_s - 3, time_s + 3);
  play(time_s - 1);
}
document.querySelectorAll("button[data-at]").forEach((button) => button.addEventListener("click", () => {
  visit(Number(button.dataset.at));
  $("listen").scrollIntoView({ block: "nearest", behavior: "smooth" });
}));

// Pointers: one moves the picture or, where it does not move, plays from there; two zoom.
const pointers = new Map();
let travelled = 0;
const place = (event) => {
  const box = $("picture").getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};
$("picture").addEventListener("pointerdown", (event) => {
  if (event.button) return;
  pointers.set(event.pointerId, place(event));
  travelled = 0;
  $("picture").setPointerCapture(event.pointerId);
});
$("picture").addEventListener("pointermove", (event) => {
  const now = place(event), was = pointers.get(event.pointerId);
  if (was) {
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    travelled += Math.hypot(now.x - was.x, now.y - was.y);
    if (others.length) {
      const far = Math.max(20, Math.abs(now.x - others[0].x)), before = Math.max(20, Math.abs(was.x - others[0].x));
      view.zoom(before / far, view.time(others[0].x));
    } else if (travelled > 6) {
      const by = view.time(was.x) - view.time(now.x);
      view.show(view.from + by, view.to + by);
    }
    pointers.set(event.pointerId, now);
  }
  $("readout").innerHTML = view.point(now) || "&nbsp;";
});
$("picture").addEventListener("pointerup", (event) => {
  if (pointers.size === 1 && travelled <= 6) {
    const time_s = view.time(place(event).x);
    if (time_s >= 0 && time_s <= view.duration) play(time_s);
  }
  pointers.delete(event.pointerId);
});
$("picture").addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
$("picture").addEventListener("pointerleave", () => view.point(null));
$("picture").addEventListener("wheel", (event) => {
  const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
  if (!event.ctrlKey && !event.metaKey && !isSideways) return; // The page scrolls.
  event.preventDefault();
  if (isSideways) view.move(event.deltaX / view.wave.width);
  else view.zoom(2 ** (event.deltaY / 200), view.time(place(event).x));
}, { passive: false });

function nextEvent(way) {
  const times = (data.spots ?? view.events.map(eventTime)).sort((a, b) => a - b);
  // A visit begins a second before its event.
  const from = view.cursor + 1;
  const found = way > 0 ? times.find((time_s) => time_s > from + 0.05) : times.findLast((time_s) => time_s < from - 1.05);
  if (found !== undefined) visit(found);
}

const keys = {
  " ": toggle, k: toggle,
  x: () => hear((view.heard + 1) % Math.max(1, data.tracks.length)),
  ArrowLeft: () => seek(player.position - 2),
  ArrowRight: () => seek(player.position + 2),
  "+": () => view.zoom(0.5), "=": () => view.zoom(0.5), "-": () => view.zoom(2), 0: () => view.show(0, view.duration),
  e: () => nextEvent(1), E: () => nextEvent(-1),
  l: () => $("repeat").click(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target.closest("button, summary, input, pre");
  // Keys that the thing in focus needs for itself.
  if (on && (event.key === " " || (on.matches("input") && event.key.startsWith("Arrow")))) return;
  const action = /^[1-9]$/.test(event.key) ? () => hear(Number(event.key) - 1) : keys[event.key] ?? keys[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});

$("save").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([$("analysis").textContent.trim() + "\n"], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href: address, download: data.json_name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
});
$("document").querySelector("details").addEventListener("toggle", () => { $("json").textContent = $("analysis").textContent.trim(); });

$("matched").closest("label").hidden = data.tracks.length < 2;
hear(0);
load();
tick();
