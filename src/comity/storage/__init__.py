"""Where published bytes lie: files and HTTP back ends, read by range, checked against what was published.

Whatever is read again later is compared with what was published; nothing outside the operator's folders is opened.
"""
