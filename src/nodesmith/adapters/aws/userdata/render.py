"""Which family's user data a node gets."""

from __future__ import annotations

from nodesmith.adapters.aws.families import Family
from nodesmith.adapters.aws.userdata.al2 import render_al2
from nodesmith.adapters.aws.userdata.al2023 import render_al2023
from nodesmith.adapters.aws.userdata.bootstrap import Bootstrap
from nodesmith.adapters.aws.userdata.bottlerocket import render_bottlerocket
from nodesmith.adapters.aws.userdata.windows import render_windows


def render_user_data(family: Family, bootstrap: Bootstrap) -> str:
    """The text that the instance reads at boot; a Custom NodeClass' own text as it stands.

    Raises:
        UserDataError: when the NodeClass' own user data cannot be joined with ours, or the service range is not known.
    """
    if family.is_windows:
        return render_windows(bootstrap)
    match family.name:
        case "AL2":
            return render_al2(bootstrap)
        case "AL2023":
            return render_al2023(bootstrap)
        case "Bottlerocket":
            return render_bottlerocket(bootstrap)
        case _:
            return bootstrap.custom
