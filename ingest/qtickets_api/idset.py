"""A set of record ids that stays small at any number of them."""

from __future__ import annotations

_CHUNK_BITS = 16
_DENSE_FROM = 512


class IdSet:
    """Ids seen so far: bitmaps of 8 KiB per 65,536 neighbouring ids, plain sets where ids are sparse.

    A plain `set` of a million ints is 60 MB and grows with the run; ids of one account lie close together, so this
    stays below a megabyte.
    """

    def __init__(self) -> None:
        self._chunks: dict[int, set[int] | bytearray] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, value: int) -> bool:
        """Add an id; False when it was there already."""
        high, low = value >> _CHUNK_BITS, value & 0xFFFF
        chunk = self._chunks.get(high)
        if chunk is None:
            chunk = self._chunks[high] = set()
        if isinstance(chunk, set):
            if low in chunk:
                return False
            chunk.add(low)
            if len(chunk) > _DENSE_FROM:
                bits = bytearray(1 << (_CHUNK_BITS - 3))
                for member in chunk:
                    bits[member >> 3] |= 1 << (member & 7)
                self._chunks[high] = bits
        else:
            mask = 1 << (low & 7)
            if chunk[low >> 3] & mask:
                return False
            chunk[low >> 3] |= mask
        self._size += 1
        return True
