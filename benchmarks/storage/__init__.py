"""What tinytune's storage costs, beside a bare sqlite3 loop and Optuna: `make bench`."""
