"""The role's checks on the orders staging table as Great Expectations has them; started by bench/checks.py."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta

import great_expectations as gx
import great_expectations.expectations as gxe


def main(url: str, table: str, ver: str) -> None:
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_sql("clickhouse", connection_string=url).add_table_asset(table, table_name=table)
    definition = asset.add_batch_definition_whole_table("whole")
    now = datetime.now()
    of_run = f"SELECT 1 FROM (SELECT count() AS c FROM {{batch}} WHERE _ver = {ver}) WHERE c = 0"
    expectations = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.UnexpectedRowsExpectation(unexpected_rows_query=of_run),
        gxe.ExpectColumnMaxToBeBetween(
            column="sale_ts", min_value=now - timedelta(hours=26), max_value=now + timedelta(hours=4)
        ),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["order_id", "event_id"]),
        gxe.ExpectColumnValueLengthsToBeBetween(column="order_id", min_value=1),
        gxe.ExpectColumnValueLengthsToBeBetween(column="event_id", min_value=1),
        gxe.ExpectColumnMinToBeBetween(column="sale_ts", min_value=datetime(1970, 1, 3)),
        gxe.ExpectColumnValuesToBeBetween(column="tickets_sold", min_value=0, max_value=100_000),
        gxe.ExpectColumnValuesToBeBetween(column="revenue", min_value=0, max_value=100_000_000),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="SELECT event_id FROM {batch} WHERE event_id NOT IN (SELECT event_id FROM dim_events)"
        ),
        gxe.ExpectColumnSumToBeBetween(column="tickets_sold", min_value=1),
        gxe.ExpectColumnSumToBeBetween(column="revenue", min_value=1),
    ]
    suite = gx.ExpectationSuite(name="orders", expectations=expectations)
    result = definition.get_batch().validate(suite)
    said = []
    for outcome in result.results:
        error = next(iter(outcome.exception_info.values()), {}) if outcome.exception_info else {}
        failed = isinstance(error, dict) and error.get("raised_exception")
        said.append(f"{outcome.expectation_config.type}: {'not answered' if failed else outcome.success}")
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
