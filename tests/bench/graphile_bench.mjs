// graphile-worker through the same three measurements as job_bench.cpp; one
// JSON line. Run by compare_graphile, which says where the package lies.
import { createRequire } from "node:module";

const require = createRequire(process.env.GRAPHILE_HOME + "/package.json");
const { Logger, makeWorkerUtils, run } = require("graphile-worker");
const { Pool } = require("pg");

const jobs = Number(process.env.JOBS ?? 100_000);
const pickups = Number(process.env.PICKUPS ?? 300);
const enqueueBatch = Number(process.env.ENQUEUE_BATCH ?? 1_000);
const connectionString = process.env.DATABASE_URL;
// The fast settings of its own performance test.
const settings = { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

const logger = new Logger(() => (level, message) => {
  if (level === "error" || level === "warning") console.error(message);
});
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.ceil(q * values.length) - 1];
const payloadOf = (number) => {
  const digits = String(number);
  return { v: 1, number, text: "x".repeat(70 - digits.length) };
};

let starts = 0;
let wanted = Infinity;
let reached = () => {};
const taskList = {
  bench_noop: async () => {
    if (++starts === wanted) reached(performance.now());
  },
};
const nextStarts = (more) => {
  wanted = starts + more;
  return new Promise((done) => (reached = done));
};

const pgPool = new Pool({ connectionString, max: 25 });
pgPool.on("error", (error) => console.error(error.message));
pgPool.on("connect", (client) => client.on("error", (error) => console.error(error.message)));
const preset = { worker: { ...settings, maxPoolSize: 25 } };
const utils = await makeWorkerUtils({ pgPool, preset, logger });
await utils.migrate();
const settle = async () => {
  await pgPool.query("VACUUM ANALYZE graphile_worker._private_jobs");
  await pgPool.query("CHECKPOINT");
};

let begin = performance.now();
for (let first = 0; first < jobs; first += enqueueBatch) {
  const batch = [];
  for (let i = first; i < Math.min(first + enqueueBatch, jobs); ++i)
    batch.push({ identifier: "bench_noop", payload: payloadOf(i), maxAttempts: 1 });
  await utils.addJobs(batch);
}
const enqueuePerS = jobs / ((performance.now() - begin) / 1000);
await settle();

const allStarted = nextStarts(jobs);
const cpuBefore = process.cpuUsage();
begin = performance.now();
const runner = await run({ pgPool, preset, logger, taskList, noHandleSignals: true });
await allStarted;
for (;;) {
  const { rows } = await pgPool.query("SELECT NOT EXISTS (SELECT FROM graphile_worker._private_jobs) AS none");
  if (rows[0].none) break;
  await sleep(1);
}
const took = (performance.now() - begin) / 1000;
const cpu = process.cpuUsage(cpuBefore);
await settle();

const waits = [];
for (let i = 0; i < pickups; ++i) {
  const started = nextStarts(1);
  const enqueuedAt = performance.now();
  await utils.addJob("bench_noop", payloadOf(i));
  waits.push((await started) - enqueuedAt);
  await sleep(20 + ((i * 7.919) % 13));
}
await runner.stop();
await utils.release();
await pgPool.end();

const rounded = (value, unit) => Math.round(value / unit) * unit;
console.log(JSON.stringify({
  jobs,
  enqueue_per_s: rounded(enqueuePerS, 1),
  drain_per_s: rounded(jobs / took, 1),
  pickup_p50_ms: Number(quantile(waits, 0.5).toFixed(2)),
  pickup_p99_ms: Number(quantile(waits, 0.99).toFixed(2)),
  cpu_us_per_job: Number(((cpu.user + cpu.system) / jobs).toFixed(2)),
  settings,
}));
