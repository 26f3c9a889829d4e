import sys
print("2026-11-23 04:00:00 INFO 12 of 40 batches")
print("2026-11-23 04:00:05 ERROR batch 13: ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))")
sys.exit(1)
