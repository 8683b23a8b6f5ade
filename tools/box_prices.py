"""Rebuild the price data of the AWS in a box from public lists.

The on-demand table (USD an hour, us-east-1, Linux, shared tenancy) is AWS's public price list; regional prices are
that table times the median ratio of the type's family in apache-libcloud's `pricing.json` (Apache-2.0). So only the
libcloud file is needed to refresh the ratios; `--on-demand` takes a JSON object `{type: price}` to refresh the table.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
from collections import defaultdict
from pathlib import Path

DATA = Path(__file__).parent.parent / "src/nodesmith/sim/aws/data/prices.json.gz"
BASE_REGION = "us-east-1"


def family_ratios(linux: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Region -> family -> price ratio to the base region; `*` is the region's median."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, cells in linux.items():
        base = cells.get(BASE_REGION) or 0
        for region, price in cells.items():
            if base and price:
                found[region][name.split(".")[0]].append(price / base)
    return {
        region: {
            "*": round(statistics.median(statistics.median(v) for v in families.values()), 4),
            **{family: round(statistics.median(v), 4) for family, v in sorted(families.items())},
        }
        for region, families in sorted(found.items())
        if region != BASE_REGION
    }


def main() -> None:
    """Write the data file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libcloud", type=Path, required=True, help="apache-libcloud's libcloud/data/pricing.json")
    parser.add_argument("--on-demand", type=Path, help="JSON object of us-east-1 prices; default: keep today's")
    options = parser.parse_args()
    libcloud = json.loads(options.libcloud.read_text())
    if options.on_demand:
        table = json.loads(options.on_demand.read_text())
    else:
        table = json.loads(gzip.decompress(DATA.read_bytes()))["onDemand"]
    document = {
        "source": (
            "on-demand: AWS's public price list, Linux, shared tenancy, us-east-1, 2026-07; "
            "regional ratios: apache-libcloud 3.9.1 pricing.json (Apache-2.0), 2025-03"
        ),
        "unit": "USD per hour",
        "baseRegion": BASE_REGION,
        "onDemand": dict(sorted(table.items())),
        "regionRatio": family_ratios(libcloud["compute"]["ec2_linux"]),
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    DATA.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
