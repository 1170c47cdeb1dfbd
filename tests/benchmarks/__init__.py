"""The agent's costs, part by part (`bench_…`, pytest-benchmark) and as a whole (`__main__`)."""
