// What runs inside a Node.js ingest: errors that nobody takes or that are given to console.error, and exchanges.
// The format is that of ../README.md. Nothing here throws into the program or writes to its output.
"use strict";

const fs = require("fs");
const path = require("path");

const FILE = process.env.INGEST_RECORDER_FILE;
const MAX_EVENTS = 20000;
const MAX_LINE = 16 << 10;
const MAX_FILE = 32 << 20;
const MASK = "***";

let left = MAX_EVENTS;
let exchanges = 0;
let known = 0;
let last = null;
const errors = new Map();
const ways = new Set();

// A recorder that fails is silent.
function quiet(action) {
  return (...given) => {
    try {
      return action(...given);
    } catch {
      return undefined;
    }
  };
}

const NAME = "[\\w.-]{0,64}(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|dsn"
  + "|clickhouse-key|authorization|cookie|signature)s?";
const SECRET_NAME = new RegExp(`^(?:${NAME}|.*_(?:pass|key|auth|dsn|cookie))$`, "i");
const RULES = [
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@'"]+@/gi, "$1***@"],
  [/\b(Bearer|Basic|Token)\s+(?=[\w.~+/=-]*[\d=.~+/_-])[\w.~+/=-]{6,}/gi, "$1 ***"],
  [/(\/bot)\d+:[\w-]{10,}|(hooks\.slack\.com\/services\/)[\w/-]+/g, "$1$2***"],
  [/\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?/g, MASK],
  [/(\bIDENTIFIED\s+(?:WITH\s+\w+\s+)?BY\s+)'[^']*'/gi, "$1'***'"],
  [new RegExp(`(["']?\\b${NAME}["']?\\s*[:=]\\s*)(["'])(?:(?!\\2).)+\\2`, "gi"), "$1$2***$2"],
  [new RegExp(`(\\b${NAME}=)[^\\s&;,'")\\]}]+`, "gi"), "$1***"],
  [/(?<![\w.+%/-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,}\b/g, "<e-mail>"],
  [/(?<![\w.])(?:\+\d{1,3}|8)[\s-]?\(?\d{3}\)?[\s-]?\d{3}[\s-]?\d{2}[\s-]?\d{2}(?![\w.])/g, "<phone>"],
];

function masked(value, limit) {
  let text = String(value).slice(0, 4 * limit);
  for (const [name, secret] of Object.entries(process.env)) {
    if (secret && secret.length >= 4 && SECRET_NAME.test(name)) text = text.split(secret).join(MASK);
  }
  for (const [pattern, replacement] of RULES) text = text.replace(pattern, replacement);
  return text.length > limit ? `${text.slice(0, limit)} …` : text;
}

const write = quiet((event) => {
  if (left <= 0) return;
  left -= 1;
  const head = { v: 1, t: Date.now() / 1000, pid: process.pid, thread: threadNumber() };
  let line = JSON.stringify({ ...head, ...event });
  if (Buffer.byteLength(line) > MAX_LINE) {
    const plain = Object.entries(event).filter(([, value]) => value === null || typeof value !== "object");
    line = JSON.stringify({ ...head, ...Object.fromEntries(plain), cut: true });
  }
  const file = fs.openSync(FILE, fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT, 0o600);
  try {
    if (fs.fstatSync(file).size + line.length < MAX_FILE) fs.writeSync(file, `${line}\n`);
    else left = 0;
  } finally {
    fs.closeSync(file);
  }
});

function threadNumber() {
  try {
    return require("worker_threads").threadId;
  } catch {
    return 0;
  }
}

// `at load (/app/loader.js:12:7)`, `at async file:///app/loader.mjs:3:1`
const FRAME = /^\s*at (?:async )?(?:(.*?) \()?(?:file:\/\/)?((?:node:|\/|[A-Za-z]:\\)[^()]*?):(\d+):\d+\)?$/;

function framesOf(error) {
  const found = [];
  for (const text of String(error.stack || "").split("\n")) {
    const match = FRAME.exec(text);
    if (!match || match[2].startsWith(__dirname)) continue;
    const own = !match[2].startsWith("node:") && !match[2].includes(`${path.sep}node_modules${path.sep}`);
    const place = { file: match[2], line: Number(match[3]), function: match[1] || "<module>", own };
    if (own) {
      const source = sourceOf(place.file, place.line);
      if (source) place.code = masked(source, 160);
    }
    found.unshift(place);
  }
  return found.slice(-30);
}

function sourceOf(file, line) {
  try {
    if (fs.statSync(file).size > 4 << 20) return "";
    return (fs.readFileSync(file, "utf8").split("\n")[line - 1] || "").trim();
  } catch {
    return "";
  }
}

function chainOf(error) {
  const chain = [];
  const seen = new Set();
  for (let each = error; each instanceof Error && !seen.has(each) && chain.length < 6; each = each.cause) {
    seen.add(each);
    const link = { type: each.name || "Error", text: masked(each.message, 400), frames: framesOf(each) };
    if (/^\d+$/.test(each.code) && /ClickHouse/.test(each.constructor.name)) link.code = Number(each.code);
    if (Array.isArray(each.errors)) link.parts = each.errors.slice(0, 5).flatMap((part) => chainOf(part).slice(0, 1));
    chain.push(link);
  }
  return chain;
}

const record = quiet((error, how, details) => {
  if (!(error instanceof Error)) return;
  const key = `${error.name}\n${error.message}\n${String(error.stack).split("\n")[1]}`;
  let number = errors.get(key);
  if (number === undefined) {
    if (errors.size >= 200) return;
    known += 1;
    number = known;
    errors.set(key, number);
    ways.add(`${number} ${how}`);
    write({ e: "exception", n: number, how, ...details, chain: chainOf(error), callers: [], last_exchange: last });
  } else if (!ways.has(`${number} ${how}`)) {
    ways.add(`${number} ${how}`);
    write({ e: "exception", same: number, how, ...details, last_exchange: last });
  }
});

const VERBS = /^\s*(INSERT|DESCRIBE|DESC|SELECT|CREATE|ALTER|TRUNCATE|DROP|OPTIMIZE|EXCHANGE|RENAME|DELETE|SHOW|EXISTS|WITH|SYSTEM|SET)\b/i;
const INTO = /\bINTO\s+(?:TABLE\s+)?(?!FUNCTION\b)([\w$.`"]+)/i;
const NAMED = /\b(?:FROM|TABLE|VIEW|DESC|DESCRIBE)\s+(?:TABLE\s+)?(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?!\()([\w$.`"]+)/i;

// Whatever becomes of the answer, the server's log knows the statement by its id.
function statementOf(text, queryId) {
  const verb = VERBS.exec(text);
  if (!verb) return {};
  const name = (verb[1].toUpperCase() === "INSERT" ? INTO : NAMED).exec(text);
  const table = name ? masked(name[1].replace(/[`"]/g, ""), 120) : undefined;
  return { verb: verb[1].toUpperCase() === "DESC" ? "DESCRIBE" : verb[1].toUpperCase(), table, query_id: queryId ? masked(queryId, 80) : undefined };
}

const PAGING = new Set(["page", "per_page", "perpage", "pagesize", "page_size", "limit", "offset", "skip", "start", "cursor",
  "after", "before", "next", "from", "size", "count", "take", "starting_after", "page_token", "pagetoken"]);

// A number for what was asked without the page; salted by the file, so that nothing leads back to the values.
function seriesOf(parameters) {
  const kept = parameters.filter(([name]) => !PAGING.has(name.toLowerCase()) && !SECRET_NAME.test(name)).sort();
  const text = JSON.stringify([fs.statSync(FILE).ino, kept]);
  return require("crypto").createHash("sha256").update(text).digest("hex").slice(0, 8);
}

function begin(client, method, url, body) {
  const parameters = [...url.searchParams];
  const query = url.searchParams.get("query") || (typeof body === "string" ? body.slice(0, 2000) : "");
  return {
    begun: performance.now(),
    url: url.href,
    event: {
      e: "exchange", client, method, host: url.hostname, port: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
      path: masked(url.pathname, 200), parameters: [...new Set(parameters.map(([name]) => masked(name, 40)))].slice(0, 20),
      asked: seriesOf(parameters), ...statementOf(query, url.searchParams.get("query_id")),
    },
  };
}

const answered = quiet((exchange, status, header, peer) => {
  const { event } = exchange;
  event.status = status;
  event.ms = Math.round((performance.now() - exchange.begun) * 10) / 10;
  if (peer) event.peer = peer;
  const length = header("content-length");
  if (/^\d+$/.test(length || "")) event.bytes = Number(length);
  const code = header("x-clickhouse-exception-code");
  if (code || header("x-clickhouse-query-id") || header("x-clickhouse-summary")) {
    event.clickhouse = true;
    event.query_id = (header("x-clickhouse-query-id") || event.query_id || "").slice(0, 80);
    if (/^\d+$/.test(code || "")) event.code = Number(code);
    const rows = /"written_rows"\s*:\s*"?(\d+)/.exec(header("x-clickhouse-summary") || "");
    if (rows) event.written_rows = Number(rows[1]);
  } else {
    // A refusal may be a proxy's, in the server's place.
    if (status < 400) for (const name of ["verb", "table", "query_id"]) delete event[name];
    if (/^\d+$/.test(header("x-total-count") || "")) event.told = { total: Number(header("x-total-count")) };
  }
  number(event);
  const kind = event.clickhouse || status < 200 || status > 299 || status === 204 ? "" : kindOf(header("content-type") || "");
  if (!kind) return undefined;
  const body = { number: event.n, url: exchange.url, kind, coding: (header("content-encoding") || "").trim().toLowerCase(),
    length: event.bytes, parts: [], size: 0, ended: false };
  unread.push(body);
  if (unread.length > MAX_UNREAD) settle(unread.shift());
  return body;
});

const failed = quiet((exchange, error) => {
  exchange.event.error = String((error && (error.code || error.name)) || "error").slice(0, 80);
  exchange.event.ms = Math.round((performance.now() - exchange.begun) * 10) / 10;
  number(exchange.event);
});

function number(event) {
  exchanges += 1;
  event.n = exchanges;
  last = exchanges;
  if (exchanges <= 3000) write(event);
}

// Bodies of answers that were not counted yet, the oldest first. Their bytes are kept by reference, up to a bound.
const unread = [];
const MAX_UNREAD = 32;
const MAX_BODY = 4 << 20;
const MAX_KEPT = 16 << 20;
let kept = 0;

function kindOf(type) {
  const kind = type.toLowerCase().split(";")[0].trim();
  if (/ndjson|jsonl|json-seq|stream\+json|json-stream/.test(kind)) return "lines";
  if (kind.includes("json")) return "json";
  if (kind.includes("csv")) return "csv";
  return ["", "text/plain", "text/html", "application/octet-stream"].includes(kind) ? "json" : "";
}

const feed = quiet((body, part) => {
  const data = typeof part === "string" ? Buffer.from(part) : Buffer.from(part.buffer || part, part.byteOffset || 0, part.byteLength);
  kept += data.length;
  body.size += data.length;
  body.parts.push(data);
  if (kept > MAX_KEPT) unread.filter((each) => each.ended).forEach((each) => settle(each));
  if (body.size > MAX_BODY || kept > MAX_KEPT) drop(body);
});

function drop(body) {
  kept -= body.size;
  body.size = 0;
  body.parts = [];
  body.done = true;
  const at = unread.indexOf(body);
  if (at >= 0) unread.splice(at, 1);
}

function decoded(body) {
  const data = Buffer.concat(body.parts);
  const zlib = require("zlib");
  const bound = { maxOutputLength: 4 * MAX_BODY };
  if (body.coding === "gzip" || body.coding === "x-gzip") return zlib.gunzipSync(data, bound);
  if (body.coding === "deflate") return (data[0] & 15) === 8 ? zlib.inflateSync(data, bound) : zlib.inflateRawSync(data, bound);
  if (body.coding === "br") return zlib.brotliDecompressSync(data, bound);
  if (body.coding === "zstd") return zlib.zstdDecompressSync(data, bound);
  return data;
}

function toldByBytes(data, kind) {
  const text = data.toString("utf8").replace(/^\ufeff/, "");
  const lines = () => text.split("\n").filter((line) => line.trim());
  if (kind === "csv") {
    if (text.includes('"')) return {};
    const found = lines();
    const head = found.length && found[0].split(/[,;\t|]/).every((field) => field.trim() && !/^[\d+.-]/.test(field.trim()));
    return { records: found.length - (head ? 1 : 0), key: "rows" };
  }
  if (kind === "lines") return { records: lines().length, key: "lines" };
  if (!/^\s*[[{]/.test(text)) return {};
  try {
    return toldBy(parse(text));
  } catch {
    // A record a line, under another name.
    return lines().every((line) => /^\s*\{.*\}\s*$/.test(line)) ? { records: lines().length, key: "lines" } : {};
  }
}

const parse = JSON.parse;

// Count a body from its bytes: nobody's parser has told of it.
const settle = quiet((body) => {
  try {
    if (body.ended && !body.done) told(body, toldByBytes(decoded(body), body.kind));
  } finally {
    drop(body);
  }
});

function told(body, numbers) {
  drop(body);
  if (Object.keys(numbers).length && body.number <= 3000) write({ e: "answer", exchange: body.number, ...numbers });
}

// The body that a parsed text was: another text may be parsed before an answer is.
function bodyOf(text) {
  const size = Buffer.byteLength(text);
  const ended = unread.filter((body) => body.ended);
  for (const body of ended) {
    if (body.coding) [body.parts, body.coding] = [[decoded(body)], ""];
    const length = body.parts.reduce((sum, part) => sum + part.length, 0);
    if (length === size || length === size + 3) return body;
  }
  // Its bytes are not known: its head told how many there are, or it is the only one.
  const unseen = unread.filter((body) => !body.parts.length && !body.ended);
  return unseen.find((body) => body.length === size && !body.coding) || (unseen.length === 1 && ended.length === 0
    && (unseen[0].coding || unseen[0].length === undefined) ? unseen[0] : undefined);
}
const RECORDS = ["data", "items", "results", "result", "records", "rows", "orders", "events", "values", "hits", "entries", "content"];
const TOTALS = { total: "total", total_count: "total", totalcount: "total", total_records: "total", recordstotal: "total",
  total_items: "total", totalitems: "total", totalelements: "total", total_results: "total", count: "count",
  total_pages: "pages", totalpages: "pages", pages: "pages", last_page: "pages", lastpage: "pages", page: "page",
  current_page: "page", currentpage: "page", per_page: "per_page", perpage: "per_page", page_size: "per_page",
  limit: "per_page", offset: "offset", has_next: "has_next", hasnext: "has_next", has_more: "has_next", hasmore: "has_next" };
const PAGINGS = new Set(["paging", "pagination", "meta", "page", "pageinfo", "page_info", "_meta", "metadata"]);

function toldBy(answer) {
  if (Array.isArray(answer)) return withBits({ records: answer.length, key: "[]" }, answer);
  if (answer === null || typeof answer !== "object") return {};
  const told = {};
  const take = (values) => {
    for (const [name, value] of Object.entries(values)) {
      const key = TOTALS[name.toLowerCase()];
      if (!key || key in told) continue;
      if (key === "has_next") told[key] = Boolean(value);
      else if (Number.isInteger(value)) told[key] = value;
      else if (typeof value === "string" && /^\d{1,11}$/.test(value)) told[key] = Number(value);
    }
  };
  for (const [name, value] of Object.entries(answer)) {
    if (value && typeof value === "object" && !Array.isArray(value) && PAGINGS.has(name.toLowerCase())) {
      take(value);
      const nested = value.pagination || value.paging;
      if (nested && typeof nested === "object") take(nested);
    }
  }
  take(answer);
  const lists = Object.entries(answer).filter(([, value]) => Array.isArray(value));
  const named = lists.filter(([name]) => RECORDS.includes(name.toLowerCase()));
  const chosen = (named.length ? named : lists).sort((a, b) => b[1].length - a[1].length)[0];
  told.records = 0;
  if (chosen) [told.key, told.records] = [masked(chosen[0], 40), chosen[1].length];
  return chosen ? withBits(told, chosen[1]) : told;
}

// The bits that the greatest whole number of each field needs.
function withBits(told, records) {
  const bits = {};
  let left = 100000;
  for (const record of records) {
    if (record === null || typeof record !== "object" || left <= 0) break;
    for (const [name, value] of Object.entries(record)) {
      left -= 1;
      if (Number.isSafeInteger(value) && value >= 0) {
        const wide = value ? Math.floor(Math.log2(value)) + 1 : 0;
        const key = name.slice(0, 60);
        if (!(bits[key] >= wide)) bits[key] = wide;
      }
    }
  }
  const entries = Object.entries(bits).slice(0, 60);
  if (entries.length) told.bits = Object.fromEntries(entries);
  return told;
}

const look = quiet((text, answer) => {
  if (answer === null || typeof answer !== "object" || typeof text !== "string") return;
  const body = bodyOf(text);
  if (body) told(body, toldBy(answer));
});

function replace(owner, name, make) {
  const original = owner[name];
  if (typeof original !== "function") return;
  const wrapper = make(original);
  Object.defineProperty(wrapper, "name", { value: original.name });
  Object.defineProperty(wrapper, "length", { value: original.length });
  owner[name] = wrapper;
}

function watchErrors() {
  // A monitor sees what nobody takes and changes nothing: no handler that would keep the process alive.
  process.on("uncaughtExceptionMonitor", (error) => record(error, "uncaught"));
  for (const [method, level] of [["error", 40], ["warn", 30]]) {
    replace(console, method, (original) => function (...given) {
      for (const each of given) record(each, "logged", { level, logger: "console" });
      return original.apply(this, given);
    });
  }
  process.on("exit", quiet((status) => {
    for (const body of [...unread]) settle(body);
    const event = { e: "process_end", status: status & 0xff, repeated: [], libraries: { node: process.versions.node }, exchanges };
    write(event);
  }));
}

// Messages of `http` whose bodies are counted.
const messages = new WeakMap();

function watchHttp() {
  // Node's own channel for diagnostics: no wrapper, no change of what a program gets.
  const channel = require("diagnostics_channel");
  const under = new WeakMap();
  const on = (name, action) => channel.channel(name).subscribe(quiet(action));
  const start = ({ request }) => {
    if (under.has(request)) return;
    const url = new URL(`${request.protocol}//${request.getHeader("host") || request.host}${request.path}`);
    under.set(request, begin("http", request.method, url));
    request.once("error", (error) => {
      if (under.has(request) && !under.get(request).done) failed(under.get(request), error);
    });
  };
  on("http.client.request.start", start);
  on("http.client.response.finish", ({ request, response }) => {
    const exchange = under.get(request);
    if (!exchange) return;
    exchange.done = true;
    const socket = request.socket;
    const peer = socket && socket.remoteAddress ? `${socket.remoteAddress}:${socket.remotePort}` : "";
    const body = answered(exchange, response.statusCode, (name) => response.headers[name], peer);
    if (body) messages.set(response, body);
  });
  on("undici:request:create", ({ request }) => {
    under.set(request, begin("fetch", request.method, new URL(request.path, request.origin),
      typeof request.body === "string" ? request.body : ""));
  });
  on("undici:request:headers", ({ request, response }) => {
    const exchange = under.get(request);
    if (!exchange) return;
    const headers = {};
    for (let at = 0; at + 1 < response.headers.length; at += 2) {
      headers[response.headers[at].toString().toLowerCase()] = response.headers[at + 1].toString();
    }
    answered(exchange, response.statusCode, (name) => headers[name]);
  });
  on("undici:request:error", ({ request, error }) => {
    const exchange = under.get(request);
    if (exchange) failed(exchange, error);
  });
}

function watchAnswers() {
  replace(JSON, "parse", (original) => function (...given) {
    const answer = original.apply(this, given);
    if (unread.length) look(given[0], answer);
    return answer;
  });
  const { IncomingMessage } = require("http");
  replace(IncomingMessage.prototype, "push", (original) => function (...given) {
    const body = messages.get(this);
    if (body && !body.done) {
      if (given[0] === null) body.ended = this.complete;
      else if (given[0]) feed(body, given[0]);
    }
    return original.apply(this, given);
  });
  if (typeof Response !== "function") return;
  const asked = (response) => unread.find((body) => !body.ended && body.url === response.url.split("#")[0]);
  for (const name of ["json", "text", "arrayBuffer", "bytes", "blob"]) {
    replace(Response.prototype, name, (original) => async function () {
      const body = quiet(asked)(this);
      const answer = await original.apply(this, arguments);
      if (body && !body.done) quiet(read)(body, answer, name);
      return answer;
    });
  }
}

// What `fetch` gives is decoded.
function read(body, answer, name) {
  body.coding = "";
  if (name === "json") told(body, toldBy(answer));
  else if (name === "blob") drop(body);
  else feed(body, answer);
  body.ended = true;
}

if (FILE) {
  quiet(() => {
    const program = process.argv.slice(0, 2).map((word) => masked(path.basename(word), 80));
    write({ e: "process_start", ppid: process.ppid, runtime: `node ${process.versions.node}`, platform: process.platform, program });
    quiet(watchErrors)();
    quiet(watchHttp)();
    quiet(watchAnswers)();
  })();
}
