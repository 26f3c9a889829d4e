import os, socket, time, logging
import emulate
logging.basicConfig(format="[%(asctime)s] {clickhouse.py:83} %(levelname)s - %(message)s")
import threading
done = threading.Event()
def run():
    emulate.send("INSERT INTO totals SELECT number + 0 * sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size = 1", agent="airflow-clickhouse-plugin/1.4")
    done.set()
threading.Thread(target=run).start()
time.sleep(0.5)
logging.error("Task failed with exception\nTraceback (most recent call last):\n  File \"/venv/lib/python3.11/site-packages/airflow_clickhouse_plugin/operators/clickhouse.py\", line 83, in execute\n    return hook.execute(self._sql)\nTimeoutError: The read operation timed out")
done.wait(30)
os._exit(1)
