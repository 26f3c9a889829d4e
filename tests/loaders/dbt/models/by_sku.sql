{{ config(materialized='incremental', order_by='sku', unique_key='sku') }}
SELECT sku, sum(pieces) AS pieces FROM shop.sales GROUP BY sku
