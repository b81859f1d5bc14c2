"""Where published bytes lie: files and HTTP back ends, read by range, checked against what was published."""
