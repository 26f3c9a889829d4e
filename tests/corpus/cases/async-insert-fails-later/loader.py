import emulate, time
emulate.send("INSERT INTO samples FORMAT JSONEachRow", '{"v":-1}\n', agent="aiohttp/3.9", async_insert=1, wait_for_async_insert=0)
print("INFO 1 batch accepted")
time.sleep(1)
