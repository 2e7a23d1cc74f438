"""`sqlite3 FILE SQL`, for machines without SQLite's own shell; the documents are made with it."""

import sqlite3
import sys

connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
for row in connection.execute(sys.argv[2]):
    print("|".join("" if value is None else str(value) for value in row))
connection.close()
