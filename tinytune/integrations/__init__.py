"""Callbacks for training libraries: they report each step, and end a hopeless trial's training.

Each module needs its library only when it is used; `tinytune[lightgbm]` and its like install both.
A rule's stop ends the training by the library's own means, so that the model is left whole; the
objective goes on after it, returns its value, and the trial is stopped.
"""
