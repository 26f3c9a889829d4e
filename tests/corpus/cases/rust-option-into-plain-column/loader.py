import struct, sys
import emulate
try:
    emulate.send("INSERT INTO visits(visitor,ended_at) FORMAT RowBinary", struct.pack("<QBqQBq", 7, 0, 1795406400, 8, 0, 1795406401)[:-3], agent="clickhouse-rs/0.13.3")
except emulate.Refused as refused:
    print("2026-11-23T04:00:01.120Z  INFO visits_loader: 2 visits read from part-0007")
    print(f"""thread 'main' panicked at src/sink.rs:58:14:\ncalled `Result::unwrap()` on an `Err` value: BadResponse({refused.text!r})\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace""")
    sys.exit(101)
