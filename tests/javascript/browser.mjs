// A web folder in headless Chromium: one JSON array of arrays of texts on standard input, one JSON object on standard output:
// what the page shows, the embeddings of the texts, and what went wrong.
//
//     node --input-type=module --eval "$(cat browser.mjs)" -- CHROMIUM FOLDER SCREENSHOT
//
// FOLDER has the libraries in transformers/. It is served from this machine; nothing else is reachable.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const PATIENCE = 120; // seconds

const [chromium, folder, screenshot] = process.argv.slice(1);

const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, "http://here").pathname);
  const body = await readFile(join(folder, path === "/" ? "index.html" : path)).catch(() => null);
  response.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(path)] ?? (path === "/" ? TYPES[".html"] : "application/octet-stream") });
  response.end(body ?? "");
}).listen(0, "127.0.0.1");
await once(server, "listening");

const profile = await mkdtemp(join(tmpdir(), "chromium-"));
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", `--user-data-dir=${profile}`];
const browser = spawn(chromium, [...flags, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });

const address = async () => {
  let said = "";
  for await (const part of browser.stderr) {
    said += part;
    const found = /DevTools listening on ws:\/\/(\S+?)\//.exec(said);
    if (found) return found[1];
  }
  throw new Error(`Chromium does not start: ${said}`);
};

// A page of the browser as a function from a method of the DevTools protocol to its result.
const page = async () => {
  const [target] = await (await fetch(`http://${await address()}/json`)).json();
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await once(socket, "open");
  const waiting = new Map();
  const problems = [];
  socket.addEventListener("message", ({ data }) => {
    const { id, result, error, method, params } = JSON.parse(data);
    if (id) waiting.get(id)(error ? { exceptionDetails: error } : result);
    else if (method === "Runtime.exceptionThrown") problems.push(params.exceptionDetails.exception?.description ?? "an exception");
  });
  let last = 0;
  const send = (method, params = {}) =>
    new Promise((resolve) => {
      waiting.set(++last, resolve);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  return { send, problems };
};

const { send, problems } = await page();
const run = async (expression) => {
  const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? JSON.stringify(exceptionDetails));
  return result.value;
};

try {
  await send("Runtime.enable");
  await send("Emulation.setDeviceMetricsOverride", { width: 900, height: 700, deviceScaleFactor: 1, mobile: false });
  await send("Page.navigate", { url: `http://127.0.0.1:${server.address().port}/` });
  for (let waited = 0; waited < PATIENCE && (await run(`document.getElementById("said")?.textContent ?? "…"`)); waited += 0.5) await sleep(500);
  const similarity = await run(`document.getElementById("similarity").textContent`);
  const said = await run(`document.getElementById("said").textContent`);
  await writeFile(screenshot, Buffer.from((await send("Page.captureScreenshot")).data, "base64"));
  await run(`(async () => {
    const [{ load }, transformers] = [await import("./hub2hf.mjs"), await import("./transformers/transformers.min.js")];
    globalThis.embed = await load(transformers, ".");
  })()`);
  const embeddings = [];
  for (const batch of await json(process.stdin)) {
    embeddings.push(...(await run(`embed(${JSON.stringify(batch)}).then((found) => found.map((one) => [...one]))`)));
  }
  await run(`document.getElementById("second").value = document.getElementById("first").value`);
  await run(`document.getElementById("second").dispatchEvent(new Event("input"))`);
  for (let waited = 0; waited < PATIENCE && (await run(`document.getElementById("similarity").textContent`)) === similarity; waited += 0.1) await sleep(100);
  const same = await run(`document.getElementById("similarity").textContent`);
  process.stdout.write(JSON.stringify({ similarity, same, said, embeddings, problems }));
} finally {
  browser.kill();
  await once(browser, "exit");
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
