"""The study's file: every query on it, and the rows as records.

`reader` is enough to read a study; `writer` adds what a worker and the study's owner write.
"""
