"""The C library's allocator, told to hold on to less: what a listing or a scrape needed for a moment is given back.

Each thread would get a heap of its own, and large blocks would be kept once some were freed: tens of MiB in a process
that reads pages of a megabyte and writes metrics of twenty. Another C library than glibc is left as it is.
"""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_OPTIONS: Final = {_ARENA_MAX: 2, _MMAP_THRESHOLD: 2**19, _TRIM_THRESHOLD: 2**22}


def hold_less() -> bool:
    """Heaps are shared and large blocks go back at once; to be called before there are threads. False: not glibc."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return all(library.mallopt(option, value) == 1 for option, value in _OPTIONS.items())


def give_back() -> bool:
    """Free pages are the system's again; False where there were none, or the C library cannot."""
    library = ctypes.CDLL(None)
    return hasattr(library, "malloc_trim") and library.malloc_trim(0) == 1
