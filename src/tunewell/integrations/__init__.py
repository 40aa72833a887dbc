"""Reports from other libraries' training loops, and copies of a search for other trackers.

Each module is for the library that it is named after and imports it; none of them is needed by anything else.
"""
