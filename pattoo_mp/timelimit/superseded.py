"""What a thread that was left behind ends with."""


class SupersededError(BaseException):
    """Raised in a thread that was left behind, so that it does no more of what its successor does.

    It is no `Exception`: whoever goes on after all that can go wrong must not go on after this.
    """
