"""What mattered: how much each parameter of a study has to do with its results.

One algorithm, one file: `ped_anova` asks which parameters the best trials agree on, `fanova` how
much of the results' variance each one explains, alone and with each other. All of them are pure
functions of recorded trials; `measure` joins them, `advice` says what to do about it.
"""
