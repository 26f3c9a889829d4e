{{ config(materialized='table', order_by='day') }}
SELECT toDate(sold_at) AS day, sum(pieces) AS pieces FROM shop.sales GROUP BY day
