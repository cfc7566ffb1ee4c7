// Keeps a headless Chromium and does what it is told: one JSON order a line in, one JSON answer a line out.
//   {"do":"launch"}  {"do":"close"}  {"do":"open","page":NAME}  {"do":"received","page":NAME}
//   {"do":"run","page":NAME,"function":FUNCTION OF page.mjs,"argument":VALUE}
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const profile = process.argv[2];
const received = new Map(); // page name -> texts of WebSocket messages
const pages = new Map();
let context;
let origin;
let script;

// A page of this machine: one from anywhere else may not talk to loopback addresses.
function serve() {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><link rel="icon" href="data:,"><title>phone</title>');
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

async function launch() {
  const bundle = await build({
    entryPoints: ['page.mjs'], bundle: true, write: false, platform: 'browser', format: 'iife', logLevel: 'error',
    define: { global: 'globalThis' },
  });
  script = bundle.outputFiles[0].text;
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    ignoreHTTPSErrors: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
      '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection',
      '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    ],
  });
  origin = await serve();
  await context.grantPermissions(['microphone'], { origin });
}

async function open(name) {
  const page = await context.newPage();
  const texts = [];
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => console.error(`${name} sent:\n${payload}`));
    socket.on('framereceived', ({ payload }) => {
      console.error(`${name} received:\n${payload}`);
      texts.push(payload.toString());
    });
  });
  page.on('console', (message) => console.error(`${name}: ${message.text()}`));
  page.on('pageerror', (error) => console.error(`${name}: ${error.stack}`));
  await page.goto(origin);
  await page.addScriptTag({ content: script });
  pages.set(name, page);
  received.set(name, texts);
}

const orders = {
  launch,
  close: () => context?.close(),
  open: ({ page }) => open(page),
  received: ({ page }) => received.get(page),
  run: ({ page, function: name, argument }) => pages.get(page).evaluate(
    ([called, value]) => window.phone[called](value), [name, argument],
  ),
};

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await orders[order.do](order)) ?? null };
  } catch (error) {
    answer = { error: error.stack ?? String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
