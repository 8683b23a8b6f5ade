"""HiGHS that keeps quiet."""

from __future__ import annotations

import highspy


class QuietHighs(highspy.Highs):
    """A linear program's solver that writes nothing to standard output, where plans are printed.

    The library's own constructor turns callbacks on, which announces the program before it can be told not to. They are
    not used here.
    """

    def __init__(self) -> None:
        super(highspy.Highs, self).__init__()
        self.setOptionValue("output_flag", False)  # noqa: FBT003 - the library's signature
