// The worker of the upload form, printed as ratios; every round in target/bench/upload.csv.
//
// speed   bytes of NAR a second from the message to the worker to its answer (unpacked, parsed,
//         hashed, scanned), over those of SHA-256 alone: the same program in the same kind of
//         worker over the same bytes. WebCrypto's own figure is printed beside it; it cannot
//         stream, so that it is no way to do this.
// memory  the most that the tab's process takes while a large NAR is examined, less what it took
//         before: at most 300 MB.
//
// It fails where a figure is a quarter beyond its target, or the memory beyond its own.

import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.env.SNOWBANK_PUPPETEER;
const { default: puppeteer } = await import(pathToFileURL(join(modules, "puppeteer-core/lib/esm/puppeteer/puppeteer-core.js")).href);

const unknown = process.argv.slice(2).find((argument) => argument !== "--small");
if (unknown) {
  console.error(`${unknown}: not one of --small`);
  process.exit(2);
}
const small = process.argv.includes("--small");
const MIB = 1 << 20;
const bytes = (small ? 32 : 512) * MIB;
const large = (small ? 256 : 2048) * MIB;
const rounds = small ? 1 : 3;
const MEMORY = 300e6;
const TARGETS = { none: 0.7, zstd: 0.25, xz: null };
const out = process.env.SNOWBANK_BENCH_OUT;
mkdirSync(out, { recursive: true });
const home = mkdtempSync(join(tmpdir(), "snowbank-upload-"));

/** A NAR of one file whose contents pack about as well as programs do. */
function nar(path, size) {
  const number = (value) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(BigInt(value));
    return buffer;
  };
  const text = (word) => {
    const padded = Buffer.alloc(Math.ceil(word.length / 8) * 8);
    padded.write(word);
    return Buffer.concat([number(word.length), padded]);
  };
  const file = openSync(path, "w");
  const head = ["nix-archive-1", "(", "type", "regular", "contents"].map(text);
  writeSync(file, Buffer.concat([...head, number(size)]));
  const block = Buffer.alloc(MIB);
  let state = 1;
  for (let written = 0; written < size; written += MIB) {
    for (let at = 0; at < MIB; at += 4) {
      // Words of a small vocabulary, now and then something new.
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      block.writeUInt32LE(state % 5 === 0 ? state : (state >>> 24) * 0x01010101 >>> 0, at);
    }
    writeSync(file, block);
  }
  writeSync(file, text(")"));
  closeSync(file);
}

/** Starts `snowbank demo`, and answers with its process and where it is. */
function serve() {
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("SNOWBANK_") && !name.startsWith("AWS_"));
  const child = spawn(process.env.SNOWBANK_BIN, ["demo", "--listen", "127.0.0.1:0"], {
    cwd: home,
    env: { ...Object.fromEntries(clean), TMPDIR: home },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((found, failed) => {
    let text = "";
    child.stdout.on("data", (data) => {
      text += data;
      const address = / is at (http:\/\/\S+)\n/.exec(text);
      if (address) found({ child, origin: address[1].replace(/\/$/, "") });
    });
    child.on("exit", (code) => failed(new Error(`the server ended (${code}): ${text}`)));
  });
}

/** Resident bytes of the largest renderer below a browser's process. */
function renderers(browser) {
  const parents = new Map();
  const resident = new Map();
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      parents.set(Number(id), Number(/PPid:\s+(\d+)/.exec(status)[1]));
      if (readFileSync(`/proc/${id}/cmdline`, "utf8").includes("--type=renderer")) {
        resident.set(Number(id), Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024);
      }
    } catch {
      // It has ended.
    }
  }
  const below = (id) => id === browser || (id > 1 && below(parents.get(id) ?? 0));
  return Math.max(0, ...[...resident].filter(([id]) => below(id)).map(([, bytes]) => bytes));
}

/** In the page: one job of a fresh worker over the chosen file; milliseconds and its answer. */
const job = async (kind, most) => {
  const file = document.querySelector("#bench").files[0];
  const address = document.querySelector("script[data-worker]").dataset.worker;
  const worker = new Worker(address, { type: "module" });
  const next = () => new Promise((heard, failed) => {
    worker.onmessage = ({ data }) => typeof data === "string" && heard(data);
    worker.onerror = () => failed(new Error("the worker failed"));
  });
  await next();
  const began = performance.now();
  const answer = next();
  worker.postMessage([kind, most, file]);
  const text = await answer;
  const took = performance.now() - began;
  worker.terminate();
  return { took, text };
};

const native = async () => {
  const whole = await document.querySelector("#bench").files[0].arrayBuffer();
  const began = performance.now();
  await crypto.subtle.digest("SHA-256", whole);
  return performance.now() - began;
};

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const rate = (took, size) => (size / MIB) / (took / 1000);
let failed = false;
const rows = ["figure,round,milliseconds,bytes"];
const profile = join(home, "profile");
let server;
let browser;
try {
  server = await serve();
  browser = await puppeteer.launch({
    executablePath: process.env.CHROME_PATH,
    userDataDir: profile,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    protocolTimeout: 1_800_000,
  });
  const page = await browser.newPage();
  await page.goto(server.origin);
  await page.waitForSelector("h1");
  await page.evaluate(() => {
    const field = document.createElement("input");
    field.type = "file";
    field.id = "bench";
    document.body.append(field);
  });
  const choose = async (path) => (await page.$("#bench")).uploadFile(path);
  const plain = join(home, "a.nar");
  nar(plain, bytes);
  execFileSync("zstd", ["-q", "-3", plain, "-o", `${plain}.zst`]);
  execFileSync("xz", ["-1", "-k", "-T0", plain]);
  const took = { sha256: [], none: [], zstd: [], xz: [], webcrypto: [] };
  for (let round = 0; round < rounds; round++) {
    for (const [figure, kind, path] of [["sha256", "", plain], ["none", "none", plain], ["zstd", "zstd", `${plain}.zst`], ["xz", "xz", `${plain}.xz`]]) {
      await choose(path);
      const done = await page.evaluate(job, kind, bytes * 2);
      if (!done.text.startsWith('{"Ok"')) throw new Error(`${figure}: ${done.text}`);
      took[figure].push(done.took);
      rows.push(`${figure},${round},${done.took.toFixed(1)},${bytes}`);
    }
    await choose(plain);
    took.webcrypto.push(await page.evaluate(native));
    rows.push(`webcrypto,${round},${took.webcrypto.at(-1).toFixed(1)},${bytes}`);
  }
  const anchor = median(took.sha256);
  console.log(`upload  SHA-256 in WebAssembly ${rate(anchor, bytes).toFixed(0)} MiB/s, WebCrypto ${rate(median(took.webcrypto), bytes).toFixed(0)} MiB/s`);
  for (const [figure, target] of Object.entries(TARGETS)) {
    const ratio = anchor / median(took[figure]);
    const beyond = target !== null && ratio < target;
    console.log(`upload  ${figure.padEnd(5)} ${rate(median(took[figure]), bytes).toFixed(0)} MiB/s of NAR, ${ratio.toFixed(2)} × SHA-256${target ? ` (target ${target})` : ""}${beyond ? " BEYOND" : ""}`);
    failed ||= target !== null && ratio < target / 1.25;
  }
  await browser.close();
  // Memory, each in a tab that has seen nothing.
  const bulk = join(home, "b.nar");
  nar(bulk, large);
  execFileSync("zstd", ["-q", "-3", bulk, "-o", `${bulk}.zst`]);
  for (const [figure, path] of [["none", bulk], ["zstd", `${bulk}.zst`]]) {
    const tab = join(home, `profile-${figure}`);
    browser = await puppeteer.launch({
      executablePath: process.env.CHROME_PATH,
      userDataDir: tab,
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
      protocolTimeout: 1_800_000,
    });
    const own = await browser.newPage();
    await own.goto(server.origin);
    await own.waitForSelector("h1");
    await own.evaluate(() => {
      const field = document.createElement("input");
      field.type = "file";
      field.id = "bench";
      document.body.append(field);
    });
    await (await own.$("#bench")).uploadFile(path);
    const pid = browser.process().pid;
    const before = renderers(pid);
    let most = 0;
    const watch = setInterval(() => { most = Math.max(most, renderers(pid)); }, 100);
    const done = await own.evaluate(job, figure, large * 2);
    clearInterval(watch);
    if (!done.text.startsWith('{"Ok"')) throw new Error(`${figure}: ${done.text}`);
    const grew = most - before;
    rows.push(`memory-${figure},0,${done.took.toFixed(1)},${grew}`);
    console.log(`upload  memory ${figure.padEnd(5)} ${(large / MIB / 1024).toFixed(2)} GiB of NAR: the tab grew by ${(grew / 1e6).toFixed(0)} MB to ${(most / 1e6).toFixed(0)} MB (at most ${MEMORY / 1e6})${grew > MEMORY ? " BEYOND" : ""}`);
    failed ||= grew > MEMORY;
    await browser.close();
  }
} finally {
  await browser?.close().catch(() => {});
  server?.child.kill();
  rmSync(home, { recursive: true, force: true });
}
writeFileSync(join(out, "upload.csv"), `${rows.join("\n")}\n`);
process.exit(failed ? 1 : 0);
