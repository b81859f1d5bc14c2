"""The management API's wire forms, on EDC's payloads: values and functions. A version is data, not a copy of the code."""
