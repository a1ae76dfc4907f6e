"""Every error a user can meet. Each names the culprit, the value seen and the remedy."""


class SeparatrixError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line returns for it."""

    exit_code = 3


class InputError(SeparatrixError):
    """The user's arguments, target, losses or checkpoint are at fault."""

    exit_code = 2


class ComputationError(SeparatrixError):
    """The input is in order but the answer could not be computed."""


class NonFiniteError(ComputationError):
    """A NaN or an infinity turned up where a finite number is needed."""


class UnsupportedOperatorError(ComputationError):
    """An operator has no second derivative, or none that can be trusted."""


class WrongDerivativeError(UnsupportedOperatorError):
    """A self-test found second derivatives that contradict the field."""


class StaleOperatorError(ComputationError):
    """The parameters moved since the operator was built."""
