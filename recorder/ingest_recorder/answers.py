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
_PAGINGS = ("paging", "pagination", "meta", "page", "pageinfo", "page_info", "_meta", "metadata", "response_metadata")


def told_by(answer):
    """What an answer tells, in numbers: `records`, `key` (where they were), `total`, `pages`, `page`, ..."""
    if isinstance(answer, list):
        return {"records": len(answer), "key": "[]"}
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
    told["records"] = records
    if key is not None:
        told["key"] = str(key)[:40]
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
            return lower[known], len(value)
        if isinstance(value, dict) and value:
            if all(isinstance(each, dict) for each in value.values()):
                return lower[known], len(value)
            key, records = _records(value)
            if key is not None:
                return key, records
    lists = [(len(value), name) for name, value in answer.items() if isinstance(value, list)]
    if not lists:
        return None, 0
    length, name = max(lists, key=lambda each: each[0])
    return name, length


def told_by_header(line):
    """Whether a CSV's first line names columns: no field of it is empty or a number."""
    for delimiter in (";", "\t", "|"):
        line = line.replace(delimiter, ",")
    fields = [field.strip() for field in line.split(",")]
    return all(field and not field[0].isdigit() and field[0] not in "+-." for field in fields)
