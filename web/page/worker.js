// The engine in a thread of its own. It is told of one recording, tells what it finds, step by step, and is ended to cancel.

let lastTold = 0;

const imports = {
  page: {
    progress(stage, fraction) {
      const now = performance.now();
      // Often enough to see it move.
      if (now - lastTold > 50) {
        lastTold = now;
        postMessage({ kind: "progress", stage, fraction });
      }
    },
  },
};

async function engine() {
  const answer = await fetch("agcfix.wasm");
  const module = await WebAssembly.compile(await answer.arrayBuffer());
  return (await WebAssembly.instantiate(module, imports)).exports;
}

onmessage = async ({ data: { bytes, name } }) => {
  let wasm;
  try {
    wasm = await engine();
    // The memory may move with every call: it is looked at anew each time.
    const out = (which) => new Uint8Array(wasm.memory.buffer, wasm.out_ptr(which), wasm.out_len(which)).slice();
    const text = (which) => new TextDecoder().decode(out(which));
    const level = () => new Float32Array(out(2).buffer);
    const failed = () => postMessage({ kind: "failed", why: text(0) });

    const named = new TextEncoder().encode(name);
    const room = wasm.take(bytes.byteLength + named.length);
    new Uint8Array(wasm.memory.buffer, room, bytes.byteLength).set(new Uint8Array(bytes));
    new Uint8Array(wasm.memory.buffer, room + bytes.byteLength, named.length).set(named);
    if (wasm.open(named.length) !== 0) return failed();
    postMessage({ kind: "opened", shape: JSON.parse(text(0)), sound: out(1), level: level() });
    if (wasm.analyze() !== 0) return failed();
    const [analysis, story] = [JSON.parse(text(0)), JSON.parse(text(1))];
    postMessage({ kind: "progress", stage: 3, fraction: 0 });
    if (wasm.restore() !== 0) return failed();
    const restored = wasm.out_len(1) > 0 ? { sound: out(1), level: level() } : null;
    postMessage({ kind: "done", analysis, story, restored });
  } catch (error) {
    postMessage({ kind: "crashed", why: String(error) });
  }
};
