// The TypeScript SDK's part of ./dev bench sdk: calls, hosts, or shows what a round trip between two Node programs takes. sdks.py drives it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const WARM_UP = 500;
const FRAME = Buffer.alloc(100, 'x'); // about what a call and its answer have
const { values: options, positionals: [what, at] } = parseArgs({
  allowPositionals: true,
  options: { process: { type: 'string' }, method: { type: 'string' }, callers: { type: 'string', default: '1' }, calls: { type: 'string', default: '5000' } },
});
const callers = Number(options.callers);
const calls = Number(options.calls);
const orrery = () => import('../sdk/typescript/dist/src/index.js');

async function measure(call) {
  const one = async (caller, count, kept) => {
    for (let i = 0; i < count; ++i) {
      const start = performance.now();
      await call(caller);
      kept.push((performance.now() - start) * 1000);
    }
  };
  const together = (count, kept) => Promise.all(Array.from({ length: callers }, (_, caller) => one(caller, count, kept)));
  await together(Math.floor(WARM_UP / callers) + 1, []);
  const took = [];
  const start = performance.now();
  await together(Math.floor(calls / callers), took);
  const seconds = (performance.now() - start) / 1000;
  took.sort((a, b) => a - b);
  const values = { p50: took[took.length >> 1], p99: took[Math.floor(took.length * 0.99)], per_second: took.length / seconds, count: took.length };
  console.log(JSON.stringify({ values }));
}

async function untilStdinEnds() {
  console.log('ready');
  process.stdin.resume();
  await once(process.stdin, 'end');
}

async function call() {
  const client = await (await orrery()).connect({ address: at });
  await measure((caller) => client.call(`${options.process}${caller}`, options.method));
  await client.close();
}

async function callHttp() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: callers });
  const [className, key] = options.process.split('/');
  await measure((caller) => new Promise((resolve, reject) => {
    const request = http.request(`${at}/v1/processes/${className}/${key}${caller}/call/${options.method}`,
      { method: 'POST', agent, headers: { 'Content-Type': 'application/json', 'Content-Length': 4 } }, (answer) => {
        answer.resume();
        answer.on('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`))));
      });
    request.on('error', reject);
    request.end('null');
  }));
  agent.destroy();
}

async function host() {
  const { desk } = await import('../sdk/typescript/dist/src/conformance/desk.js'); // the package's own compiled class: this file has no decorators
  const client = await (await orrery()).connect({ address: at });
  const hosting = await client.host([desk('echo', 0)]);
  await untilStdinEnds();
  await hosting.close();
  await client.close();
}

async function echo() {
  const server = net.createServer((socket) => socket.on('data', (data) => socket.write(data)).on('error', () => {}));
  server.listen(at);
  await once(server, 'listening');
  await untilStdinEnds();
  process.exit(0);
}

async function floor() {
  const path = `${at}.floor-node`;
  const other = spawn(process.execPath, [fileURLToPath(import.meta.url), 'echo', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  const socket = net.connect(path);
  await once(socket, 'connect');
  let answered;
  socket.on('data', () => answered());
  await measure(() => new Promise((resolve) => {
    answered = resolve;
    socket.write(FRAME);
  }));
  socket.destroy();
  other.stdin.end();
  await once(other, 'exit');
}

await { call: at.startsWith('http:') ? callHttp : call, host, floor, echo }[what]();
