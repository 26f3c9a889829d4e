"""A server emptied without losing anything: what it holds, moved aside under a dated name, noted, brought back.

Words: a *store* is a place where the server keeps files (a folder of the host or a Docker volume). A *move* is one
removal of all stores' content, with its note in the *journal*, a folder beside the data. Nothing is ever copied: a move
is renames on one file system, so that an interruption leaves no half copy, and it is noted before its first rename.
"""
