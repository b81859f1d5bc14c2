"""Where published bytes lie: local files and HTTP back ends, opened by range and checked against what was published."""
