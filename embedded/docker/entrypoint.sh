#!/bin/sh
# A command of the user's own takes the server's place, as in the official image.
case "${1-}" in
  "" | -*) exec python -m embedded.container ;;
  *) exec "$@" ;;
esac
