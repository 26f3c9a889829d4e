"""How grave a line of a log is, by the names of levels that loggers have."""

from __future__ import annotations

LEVELS = {
    **dict.fromkeys(("error", "err", "critical", "crit", "fatal", "severe", "alert", "emerg", "emergency", "panic"), 3),
    # Serilog's and .NET's own short names, and Russian ones.
    **dict.fromkeys(("ftl", "fail", "ошибка", "критическая ошибка"), 3),
    **dict.fromkeys(("warn", "warning", "wrn", "предупреждение"), 2),
    **dict.fromkeys(("info", "information", "notice", "debug", "trace", "verbose", "fine", "ok", "success"), 1),
    **dict.fromkeys(("inf", "dbg", "vrb", "инфо"), 1),
}
ERROR, WARNING = 3, 2
