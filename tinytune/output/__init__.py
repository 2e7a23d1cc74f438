"""How studies are shown: tables, machine formats, and the live line.

Not named `report`, which is the function that objectives call.
"""
