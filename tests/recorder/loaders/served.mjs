// Reads every page of its source in many ways. A question's path is /CLIENT/CODING/FORM.
import http from "node:http";
import zlib from "node:zlib";

const BASE = process.env.SOURCE_URL;
const CODINGS = ["plain", "gzip", "deflate", "br", "chunked", "gzip-chunked"];

function byHttp(address) {
  return new Promise((resolve, reject) => {
    http.get(address, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve([Buffer.concat(parts), answer.headers["content-encoding"]]));
    }).on("error", reject);
  });
}

const plain = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync, br: zlib.brotliDecompressSync };

export const ways = {
  // Nobody's parser.
  http: byHttp,
  // The program's own, after another text.
  parsed: async (address, form) => {
    const [data, coding] = await byHttp(address);
    JSON.parse('{"data": [1, 2, 3, 4, 5]}');
    const text = (coding ? plain[coding](data) : data).toString();
    return form === "json" ? JSON.parse(text) : text.split("\n");
  },
  fetch: async (address, form) => (form === "json" ? (await fetch(address)).json() : (await fetch(address)).text()),
  text: async (address) => (await fetch(address)).text(),
  buffer: async (address) => (await fetch(address)).arrayBuffer(),
};

for (const [client, read] of Object.entries(ways)) {
  for (const coding of CODINGS) {
    for (const form of ["json", "lines", "csv"]) {
      // All pages at once.
      await Promise.all([1, 2, 3].map((page) => read(`${BASE}/${client}/${coding}/${form}?page=${page}`, form)));
    }
  }
}
