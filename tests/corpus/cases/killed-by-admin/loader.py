import threading, time, sys, os
import emulate
def kill():
    import urllib.request
    time.sleep(1)
    url = f"http://{os.environ['CLICKHOUSE_HOST']}:{os.environ['CLICKHOUSE_PORT']}/?user=other&password={os.environ['CLICKHOUSE_PASSWORD']}"
    urllib.request.urlopen(url, data=b"KILL QUERY WHERE user = 'ingest' SYNC").read()
threading.Thread(target=kill).start()
try:
    emulate.send("INSERT INTO totals SELECT number + 0 * sleepEachRow(0.2) FROM numbers(100) SETTINGS max_block_size = 1", agent="python-requests/2.31")
except emulate.Refused as error:
    print("ERROR load failed:", error.text.split(" (version")[0])
    sys.exit(1)
