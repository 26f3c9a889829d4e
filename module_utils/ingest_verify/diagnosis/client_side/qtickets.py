"""What is known of the Qtickets API, said to an ingest that loads from it and to no other."""

from __future__ import annotations

# Words and addresses of a log that are about it.
WORDS = r"qtickets|/(?:orders|events|shows|seats)\b"
ACCOUNT = "Check QTICKETS_TOKEN and ORG_NAME: is it this account's?"
AUTHORIZATION = "-H 'Authorization: Bearer <token>'"
BASE_URL = "https://qtickets.ru/api/rest/v1"
POST_IS_NO_SEARCH = "Read orders with GET: POST /orders is no search, the API answers it with 503. "
FILTER = (
    'Send the filter as the API reads it: where=[{"column":"payed_at","operator":">=","value":"...+03:00"}], '
    "JSON-encoded as a query parameter with + written as %2B (curl -G --data-urlencode does it); unknown parameters "
    "such "
    "as since= are ignored with HTTP 200."
)
NEWEST = '--data-urlencode \'orderBy={"id":"desc"}\' -d per_page=1.'
ORDERED = 'Ask with orderBy={"id":"asc"}: only then is the order of pages stable;'
