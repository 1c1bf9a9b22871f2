"""The Helm chart, rendered by Helm's own engine in the environment that `make chart` fills.

Run as a program by that environment's Python, which has none of our packages:
``python tests/helm_chart.py CHART VALUES-AS-JSON`` prints the messages of the linter and the text
of each template as one JSON object.
"""

from __future__ import annotations

import json
import sys


def main(chart: str, values: str) -> None:
    """Lint and render; print JSON with ``messages`` and ``texts``, or ``refused``."""
    import helm_python as helm  # type: ignore[import-not-found]

    found = {"messages": helm.lint(chart)["errors"]}
    try:
        with helm.Chart.load(chart) as loaded:
            found["texts"] = loaded.render(json.loads(values), name="demo", namespace="music")
    except Exception as error:
        found["refused"] = str(error)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:3])
