-- Reference schema of the Qtickets pipeline.
--
-- Names carry no database: the database of the connection decides (`zakaz` unless `run.database` says otherwise).
-- Every statement may be sent again; over an unchanged schema none of them changes anything.
-- Times carry the report time zone in their type, so they read back the same whatever the server's or the client's
-- zone is. With another REPORT_TZ than Europe/Moscow, replace the zone throughout this file.


-- Staging ------------------------------------------------------------------------------------------------------------

-- One row per (order, event). No partitions: an order whose payment date moves must still replace its earlier version.
CREATE TABLE IF NOT EXISTS stg_qtickets_api_orders_raw
(
    order_id     String,
    event_id     String,
    city         LowCardinality(String) COMMENT 'lower case; empty when the order names none',
    sale_ts      DateTime('Europe/Moscow') COMMENT 'payed_at',
    tickets_sold UInt32 COMMENT 'without removed and refunded tickets',
    revenue      Decimal(18, 2) COMMENT 'without removed and refunded tickets',
    currency     LowCardinality(String),
    _ver         UInt64,
    _dedup_key   FixedString(32) COMMENT 'hash of order and event only: of nothing that can change'
)
ENGINE = ReplacingMergeTree(_ver)
ORDER BY _dedup_key;

-- NULL means "the API did not say"; zero left is zero.
CREATE TABLE IF NOT EXISTS stg_qtickets_api_inventory_raw
(
    snapshot_ts   DateTime('Europe/Moscow'),
    event_id      String,
    event_name    String,
    city          LowCardinality(String),
    tickets_total Nullable(UInt32),
    tickets_left  Nullable(UInt32),
    _ver          UInt64,
    _dedup_key    FixedString(32)
)
ENGINE = ReplacingMergeTree(_ver)
ORDER BY (event_id, city, snapshot_ts);


-- Dimension ----------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS dim_events
(
    event_id      String,
    event_name    String,
    city          LowCardinality(String),
    start_date    Nullable(Date),
    end_date      Nullable(Date),
    tickets_total UInt32 DEFAULT 0,
    tickets_left  UInt32 DEFAULT 0,
    _ver          UInt64,
    _loaded_at    DateTime('Europe/Moscow') DEFAULT now()
)
ENGINE = ReplacingMergeTree(_ver)
ORDER BY event_id;


-- Facts --------------------------------------------------------------------------------------------------------------

-- A day is rewritten from every order known for it, never from the part that one run happened to fetch.
CREATE TABLE IF NOT EXISTS fact_qtickets_sales_daily
(
    sales_date   Date COMMENT 'day of sale_ts in the report time zone',
    event_id     String,
    city         LowCardinality(String),
    tickets_sold UInt32,
    revenue      Decimal(18, 2),
    _ver         UInt64
)
ENGINE = ReplacingMergeTree(_ver)
PARTITION BY toYYYYMM(sales_date)
ORDER BY (event_id, sales_date, city);

CREATE TABLE IF NOT EXISTS fact_qtickets_inventory_latest
(
    snapshot_ts   DateTime('Europe/Moscow'),
    event_id      String,
    event_name    String,
    city          LowCardinality(String),
    tickets_total Nullable(UInt32),
    tickets_left  Nullable(UInt32),
    _ver          UInt64
)
ENGINE = ReplacingMergeTree(_ver)
ORDER BY (event_id, city);


-- Record of runs -----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS meta_job_runs
(
    job            LowCardinality(String),
    run_id         UUID DEFAULT generateUUIDv4(),
    started_at     DateTime('Europe/Moscow'),
    finished_at    DateTime('Europe/Moscow'),
    status         LowCardinality(String) COMMENT 'ok or failed',
    rows_processed UInt64,
    message        String,
    metrics        String COMMENT 'JSON'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(started_at)
ORDER BY (job, started_at);


-- Views --------------------------------------------------------------------------------------------------------------

-- The orders of the last 14 days by event. It keeps orders and not sums, because an order that is sent again must replace
-- itself: SELECT event_id, sum(tickets_sold), sum(revenue) FROM mv_qtickets_sales_latest FINAL GROUP BY event_id.
CREATE MATERIALIZED VIEW IF NOT EXISTS mv_qtickets_sales_latest
ENGINE = ReplacingMergeTree(_ver)
ORDER BY (event_id, _dedup_key)
TTL sale_ts + INTERVAL 14 DAY
AS
SELECT event_id, _dedup_key, sale_ts, tickets_sold, revenue, _ver
FROM stg_qtickets_api_orders_raw;

-- One row per event: every known event, and every event with a sale in the last 14 days (today and the 13 days before it,
-- in the report time zone) even when no event record has arrived. Sales are joined by event alone, so that an order that
-- names no city, or another spelling of it, is not lost; the city shown is the event's. Readers may have join_use_nulls on,
-- which changes the columns' types; hence the setting at the end.
CREATE OR REPLACE VIEW v_qtickets_sales_dashboard AS
SELECT
    ids.event_id AS event_id,
    if(events.event_name != '', events.event_name, inventory.event_name) AS event_name,
    multiIf(events.city != '', toString(events.city), inventory.city != '', inventory.city, sales.city) AS city,
    sales.tickets_sold_today AS tickets_sold_today,
    sales.revenue_today AS revenue_today,
    sales.tickets_sold_14d AS tickets_sold_14d,
    sales.revenue_14d AS revenue_14d,
    inventory.tickets_total AS tickets_total,
    inventory.tickets_left AS tickets_left,
    inventory.updated_at AS inventory_updated_at,
    events.start_date AS start_date,
    events.end_date AS end_date
FROM
(
    SELECT event_id FROM dim_events FINAL
    UNION DISTINCT
    SELECT event_id FROM fact_qtickets_inventory_latest FINAL
    UNION DISTINCT
    SELECT event_id FROM stg_qtickets_api_orders_raw FINAL WHERE toDate(sale_ts) > toDate(now('Europe/Moscow')) - 14
) AS ids
LEFT JOIN
(
    SELECT event_id, event_name, city, start_date, end_date FROM dim_events FINAL
) AS events ON events.event_id = ids.event_id
LEFT JOIN
(
    SELECT
        event_id,
        max(toString(city)) AS city,
        sumIf(tickets_sold, toDate(sale_ts) = toDate(now('Europe/Moscow'))) AS tickets_sold_today,
        sumIf(revenue, toDate(sale_ts) = toDate(now('Europe/Moscow'))) AS revenue_today,
        sum(tickets_sold) AS tickets_sold_14d,
        sum(revenue) AS revenue_14d
    FROM stg_qtickets_api_orders_raw FINAL
    WHERE toDate(sale_ts) > toDate(now('Europe/Moscow')) - 14
    GROUP BY event_id
) AS sales ON sales.event_id = ids.event_id
LEFT JOIN
(
    -- argMax passes over NULL, so what may be NULL travels inside a tuple.
    SELECT
        event_id,
        argMax(event_name, (snapshot_ts, _ver)) AS event_name,
        argMax(toString(city), (snapshot_ts, _ver)) AS city,
        argMax(tuple(tickets_total), (snapshot_ts, _ver)).1 AS tickets_total,
        argMax(tuple(tickets_left), (snapshot_ts, _ver)).1 AS tickets_left,
        toNullable(max(snapshot_ts)) AS updated_at
    FROM fact_qtickets_inventory_latest FINAL
    GROUP BY event_id
) AS inventory ON inventory.event_id = ids.event_id
SETTINGS join_use_nulls = 0;
