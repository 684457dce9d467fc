"""Stored results: the data model (`model`), its JSON form (`codec`), and the folder it is kept in (`store`).

Nothing here needs torch, so that runs can be read and compared on any machine.
"""
