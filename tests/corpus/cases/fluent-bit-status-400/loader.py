import emulate
try:
    emulate.send("INSERT INTO logs FORMAT JSONEachRow", '{"ts":"2026-11-20 10:00:00","msg":"a"}\n{"ts":"yesterday","msg":"b"}\n', agent="Fluent-Bit")
except emulate.Refused:
    print("[2026/11/23 04:00:02] [error] [output:http:http.0] ch-1:8123, HTTP status=400")
    print("[2026/11/23 04:00:02] [ warn] [engine] failed to flush chunk '1-1.flb', retry in 7 seconds: task_id=0, input=tail.0 > output=http.0 (out_id=0)")
