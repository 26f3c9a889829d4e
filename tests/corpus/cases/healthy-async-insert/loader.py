import emulate
for n in range(3):
    emulate.send("INSERT INTO orders (id) FORMAT TSV", f"{n}\n", agent="aiohttp/3.9", async_insert=1, wait_for_async_insert=1)
print("INFO 3 batches, errors: none")
