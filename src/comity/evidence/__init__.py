"""Evidence as values: what a record says and how records are chained. No store, no clock."""
