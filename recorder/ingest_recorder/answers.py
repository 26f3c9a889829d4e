"""What a source's answers hold, in numbers: records, and what their paging tells."""

# Where answers keep their records, in this order; without any of them the longest list counts.
_RECORDS = ("data", "items", "results", "result", "records", "rows", "orders", "events", "values", "hits", "entries",
            "content", "objects", "list", "elements", "_embedded")  # fmt: skip
_TOTALS = {
    "total": "total", "total_count": "total", "totalcount": "total", "total_records": "total", "totalrecords": "total",
    "recordstotal": "total", "total_items": "total", "totalitems": "total", "totalelements": "total",
    "total_results": "total", "totalresults": "total", "total_size": "total", "totalsize": "total", "count": "count",
    "total_pages": "pages", "totalpages": "pages", "pages": "pages", "last_page": "pages", "lastpage": "pages",
    "page_count": "pages", "pagecount": "pages", "page": "page", "current_page": "page", "currentpage": "page",
    "per_page": "per_page", "perpage": "per_page", "page_size": "per_page", "pagesize": "per_page", "limit": "per_page",
    "offset": "offset", "has_next": "has_next", "hasnext": "has_next", "has_more": "has_next", "hasmore": "has_next",
    "hasnextpage": "has_next",
}  # fmt: skip
# Values looked at in one answer: its size is the source's to choose.
_VALUES = 100000
_PAGINGS = ("paging", "pagination", "meta", "page", "pageinfo", "page_info", "_meta", "metadata", "response_metadata")


def told_by(answer):
    """What an answer tells, in numbers: `records`, `key` (where they were), `total`, `pages`, `page`, ..., `bits`."""
    if isinstance(answer, list):
        return _with_bits({"records": len(answer), "key": "[]"}, answer)
    if not isinstance(answer, dict):
        return {}
    told = {}
    for name, value in answer.items():
        if isinstance(value, dict) and str(name).lower() in _PAGINGS:
            _paging(value, told)
            nested = value.get("pagination") or value.get("paging") or value.get("page")
            if isinstance(nested, dict):
                _paging(nested, told)
    _paging(answer, told)
    key, records = _records(answer)
    told["records"] = len(records)
    if key is not None:
        told["key"] = str(key)[:40]
        _with_bits(told, records)
    return told


def _with_bits(told, records):
    """Add the bits that the greatest whole number of each field needs: enough to know a column that cannot hold it,
    and nobody's number."""
    records = list(records.values()) if isinstance(records, dict) else records
    bits, left = {}, _VALUES
    for record in records:
        if not isinstance(record, dict) or left <= 0:
            break
        left -= len(record)
        for name, value in record.items():
            if type(value) is int and value >= 0 and value.bit_length() > bits.get(name, -1):
                bits[name] = value.bit_length()
    bits = {str(name)[:60]: number for name, number in list(bits.items())[:60]}
    if bits:
        told["bits"] = bits
    return told


def _paging(values, told):
    for name, value in values.items():
        known = _TOTALS.get(str(name).lower())
        if known is None or known in told:
            continue
        if known == "has_next":
            told[known] = bool(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            told[known] = value
        elif isinstance(value, str) and value.isdigit() and len(value) < 12:
            told[known] = int(value)


def _records(answer):
    lower = {str(name).lower(): name for name in answer}
    for known in _RECORDS:
        value = answer.get(lower.get(known)) if known in lower else None
        if isinstance(value, list):
            return lower[known], value
        if isinstance(value, dict) and value:
            if all(isinstance(each, dict) for each in value.values()):
                return lower[known], value
            key, records = _records(value)
            if key is not None:
                return key, records
    lists = [(name, value) for name, value in answer.items() if isinstance(value, list)]
    return max(lists, key=lambda each: len(each[1])) if lists else (None, [])


def told_by_header(line):
    """Whether a CSV's first line names columns: no field of it is empty or a number."""
    for delimiter in (";", "\t", "|"):
        line = line.replace(delimiter, ",")
    fields = [field.strip() for field in line.split(",")]
    return all(field and not field[0].isdigit() and field[0] not in "+-." for field in fields)
