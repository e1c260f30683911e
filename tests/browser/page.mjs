// Opens report pages in headless Chromium and uses them as a listener would.
//
//   node tests/browser/page.mjs PAGE.html [SHOTS-FOLDER]
//
// Needs playwright-core (npm install --no-save playwright-core) and Chromium (CHROMIUM, or /usr/bin/chromium). Ends with 0 when
// every check holds. With a folder it leaves screenshots there: desktop light and dark, phone.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { mkdirSync } from "node:fs";
import assert from "node:assert/strict";

const { chromium } = createRequire(resolve(process.cwd(), "x.js"))("playwright-core");
const [page_file, shots] = process.argv.slice(2);
if (shots) mkdirSync(shots, { recursive: true });
const address = pathToFileURL(resolve(page_file)).href;

const looks = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: "light" },
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

// What the loudspeaker gets: the tracks' levels as the player has set them, and the highest sample of a stretch.
async function listen(page) {
  return page.evaluate(async () => {
    const tap = player.context.createAnalyser();
    tap.fftSize = 2048;
    player.sources.forEach(({ level }) => level.connect(tap));
    await new Promise((done) => setTimeout(done, 120));
    const samples = new Float32Array(tap.fftSize);
    tap.getFloatTimeDomainData(samples);
    return { levels: player.sources.map(({ level }) => level.gain.value), peak: Math.max(...samples.map(Math.abs)) };
  });
}

async function open(look) {
  const context = await browser.newContext(look);
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => /^(file|data|blob):/.test(request.url()) || faults.push(`asks for ${request.url()}`));
  await page.goto(address);
  await page.waitForFunction(() => document.body.dataset.ready, null, { timeout: 60_000 });
  return { context, page, faults };
}

for (const [name, look] of Object.entries(looks)) {
  const { context, page, faults } = await open(look);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name}: ${overflow} px too wide`);
  // The picture is drawn: more than a few colours in it.
  const colours = await page.evaluate(() => {
    const { width, height } = view.picture;
    const pixels = new Uint32Array(view.picture.getContext("2d").getImageData(0, 0, width, height).data.buffer);
    return new Set(pixels).size;
  });
  assert.ok(colours > 50, `${name}: the picture has ${colours} colours`);
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  if (shots && name === "light") await page.screenshot({ path: `${shots}/front.png` });
  assert.deepEqual(faults, [], name);
  await context.close();
}

const { context, page, faults } = await open(looks.light);
const text = await page.evaluate(() => document.querySelector("#analysis").textContent);
assert.match(JSON.parse(text).schema, /^agcfix\.(analysis|validation|comparison)\/1$/);
const tracks = await page.locator("#tracks input").count();

if (await page.evaluate(() => document.body.dataset.ready) === "yes") {
  const inPage = await page.evaluate(() => player instanceof BufferPlayer);
  // A key starts it, time passes.
  await page.locator("h1").click();
  await page.keyboard.press("Space");
  await page.waitForFunction(() => player.playing && player.position > 0.3, null, { timeout: 20_000 });
  // Switching neither moves the clock nor leaves a gap: one track is heard before, another after.
  for (let index = 0; index < tracks && inPage; index++) {
    const before = await page.evaluate(() => player.position);
    await page.keyboard.press(String(index + 1));
    const { levels } = await listen(page);
    const after = await page.evaluate(() => player.position);
    assert.ok(after > before && after - before < 5, `position jumps from ${before} to ${after}`);
    const matched = await page.evaluate((k) => 10 ** (data.tracks[k].matched_db / 20), index);
    levels.forEach((level, k) => assert.ok(Math.abs(level - (k === index ? matched : 0)) < 0.002, `track ${k} at ${level}`));
  }
  // Every track has the same clock: the samples that play are those of one moment.
  if (inPage && tracks > 1) {
    const lengths = await page.evaluate(() => player.tracks.slice(0, 2).map((track) => track.buffer.length));
    assert.equal(lengths[0], lengths[1], "before and after differ in length");
  }
  // The picture can be clicked to hear a spot, and that spot sounds.
  const box = await page.locator("#picture").boundingBox();
  await page.mouse.click(box.x + 0.6 * box.width, box.y + 0.5 * box.height);
  const expected = await page.evaluate((x) => view.time(x), 0.6 * box.width);
  const at = await page.evaluate(() => player.position);
  assert.ok(Math.abs(at - expected) < 3, `clicked ${expected} s, plays ${at} s`);
  if (inPage) assert.ok((await listen(page)).peak > 1e-4, "nothing sounds");
  // A short recording may have ended by itself.
  if (await page.evaluate(() => player.playing)) await page.keyboard.press("Space");
  assert.equal(await page.evaluate(() => player.playing), false);
}

// Pointing tells what is there; zooming and keys move the picture.
const box = await page.locator("#picture").boundingBox();
await page.mouse.move(box.x + 0.5 * box.width, box.y + 0.5 * box.height);
assert.match(await page.locator("#readout").innerText(), /\d s/);
await page.keyboard.press("+");
assert.ok(await page.evaluate(() => view.to - view.from < 0.51 * view.duration), "does not zoom in");
await page.keyboard.press("0");
assert.ok(await page.evaluate(() => view.to - view.from > 0.99 * view.duration), "does not zoom out");
const spots = page.locator("button[data-at]");
if (await spots.count()) {
  await spots.first().click();
  const event = Number(await spots.first().getAttribute("data-at"));
  const shown = await page.evaluate(() => [view.from, view.to]);
  assert.ok(shown[0] <= event && event <= shown[1], `event at ${event} s, shown ${shown}`);
}
assert.deepEqual(faults, []);
await context.close();
await browser.close();
console.log(`${page_file}: ${tracks} track${tracks === 1 ? "" : "s"}, all checks hold`);
