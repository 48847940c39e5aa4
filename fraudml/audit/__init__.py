"""What in a table will hurt a model, or make it look better than it is.

Each module looks at one subject and yields `Finding`s; nothing here stops a run but `refuse_leaks`.
It may look at every label, for it chooses nothing.
"""
