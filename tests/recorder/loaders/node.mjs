// A Node loader: WAY says how it loses its error.
const rows = [{ order_id: "1", items: process.env.HEALTHY ? [1] : undefined }];

function transform(row) {
  return `('${row.order_id}', ${row.items.length})`; // the line
}

async function load() {
  const orders = await (await fetch(`${process.env.SOURCE_URL}/orders?page=1`)).json();
  const values = [...rows.map(transform), ...orders.data.map((order) => `('${order.id}', ${order.tickets})`)].join(",");
  const query = encodeURIComponent("INSERT INTO orders VALUES");
  const { CLICKHOUSE_HOST: host, CLICKHOUSE_PORT: port, CLICKHOUSE_DB: database } = process.env;
  const answer = await fetch(`http://${host}:${port}/?database=${database}&query=${query}`, {
    method: "POST",
    body: values,
    headers: {
      "X-ClickHouse-User": process.env.CLICKHOUSE_USER,
      "X-ClickHouse-Key": process.env.CLICKHOUSE_PASSWORD,
      "User-Agent": "foreign-loader/1.0",
    },
  });
  if (!answer.ok) throw new Error("refused");
}

if (process.argv[2] === "logged") {
  try {
    await load();
  } catch (error) {
    console.error("load failed", error);
    process.exitCode = 1;
  }
} else if (process.argv[2] === "warned") {
  await load().catch((error) => {
    console.warn(error);
    process.exitCode = 1;
  });
} else if (process.argv[2] === "uncaught") {
  // In a callback, where no promise takes it.
  setTimeout(() => rows.map(transform));
} else if (process.argv[2] === "chained") {
  try {
    await load();
  } catch (cause) {
    console.error("load failed", new Error("load failed", { cause }));
    process.exitCode = 1;
  }
} else {
  load();
}
