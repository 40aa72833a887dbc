"""Files of other tools as specs: what a file says of a search, in the fields of a spec, and notes about the rest.

A `Source` reads the file and knows what of it nobody has asked for, so that nothing is left out without a note.
"""
