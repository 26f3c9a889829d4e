-- Another team's schema: other tables; their loader keeps no job table.
CREATE DATABASE IF NOT EXISTS shop;

CREATE TABLE IF NOT EXISTS shop.purchases
(
    id UInt64,
    bought_at DateTime('UTC'),
    sku LowCardinality(String),
    amount Decimal(12, 2),
    loaded_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY id;

CREATE TABLE IF NOT EXISTS shop.purchases_by_day
(
    day Date,
    sku LowCardinality(String),
    amount Decimal(12, 2)
)
ENGINE = SummingMergeTree
ORDER BY (day, sku);
