"""Arithmetic that gives the same bits on every machine.

`scalars` is for single numbers and needs no numpy; `arrays` has elementary functions of arrays,
`linear` the linear algebra of small matrices.
"""
