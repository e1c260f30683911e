// Keeps the page, so that it works without a network. VERSION is the build's: another build brings all files anew.

const KEPT = "agcfix-VERSION";
const FILES = ["./", "index.html", "style.css", "page.js", "words.js", "picture.js", "worker.js", "recorder.js", "agcfix.wasm"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = async () => {
    for (const name of await caches.keys()) if (name !== KEPT) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(old());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") {
    event.respondWith(caches.match(event.request, { ignoreSearch: true }).then((kept) => kept ?? fetch(event.request)));
  }
});
