"""What a user's mistake raises. Light to import, so that the command line answers at once."""


class Unusable(Exception):
    """A mistake of the user's that has one clear sentence: what is wrong, where, and what to do. Printed without traceback."""
