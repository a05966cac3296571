// The dry run of mixpanel-import on a file of JSON lines: every row becomes a message, none is sent.
const load = require("node:module").createRequire(process.argv[2] + "/");
const { performance } = require("node:perf_hooks");
const send = load("mixpanel-import");

const options = {
  recordType: "event", dryRun: true, streamFormat: "jsonl", fixData: true, abridged: true,
  logs: false, verbose: false, showProgress: false,
  transformFunc: (row) => ({
    event: row.event,
    properties: { ...row, distinct_id: row.user_id, time: row.occurred_at },
  }),
};
const start = performance.now(), cpuStart = process.cpuUsage();
send({ token: "benchmark" }, process.argv[3], options).then((result) => {
  const { user, system } = process.cpuUsage(cpuStart);
  if (!result.total) throw new Error("no row was read");
  console.log(JSON.stringify({
    s: (performance.now() - start) / 1e3, cpu_s: (user + system) / 1e6,
    peak_mb: process.resourceUsage().maxRSS / 1024,
  }));
});
