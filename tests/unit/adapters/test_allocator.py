"""The allocator gives memory back."""

import platform
import subprocess
import sys

PROGRAM = """
from nodesmith.adapters import allocator
def resident():
    [line] = [each for each in open("/proc/self/status") if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024
held_less = allocator.hold_less()
blocks = [bytearray(50_000) for _ in range(2_000)]
kept = blocks[-1]
full = resident()
del blocks
allocator.give_back()
print(held_less, full - resident())
"""


def test_what_was_freed_is_given_back_although_something_behind_it_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    held_less, freed = done.stdout.split()
    if platform.libc_ver()[0] == "glibc":
        assert float(freed) > 80
    else:
        assert held_less == "False"
