"""scikit-learn's callbacks (1.9 and later), and what an older scikit-learn gets instead."""

from collections.abc import Callable
from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin

    SUPPORTED = True
except ImportError:
    SUPPORTED = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in that says what is missing."""

        def set_callbacks(self, *callbacks):
            """Raise, since this scikit-learn has no callbacks.

            Parameters
            ----------
            *callbacks
                What scikit-learn 1.9 and later would call.
            """
            import sklearn

            raise NotImplementedError(
                f"set_callbacks needs scikit-learn 1.9 or later; this is {sklearn.__version__}. "
                "verbose=1 prints a line per epoch with any version."
            )


__all__ = ["CallbackSupportMixin", "Task"]


class Task:
    """One node of scikit-learn's tree of tasks: a fit, or a part of it.

    Does nothing where scikit-learn has no callbacks.

    Parameters
    ----------
    estimator : estimator
        Whose fit this is.
    context : sklearn.callback.CallbackContext or None
        scikit-learn's node.
    **data
        ``X`` and ``y``, for callbacks that ask for them.
    """

    def __init__(self, estimator, context=None, **data):
        self._estimator = estimator
        self._context = context
        self._data = data

    @classmethod
    def root(cls, estimator, n_subtasks: int, **data) -> "Task":
        """Begin the fit of ``estimator``."""
        if not SUPPORTED:
            return cls(estimator)
        task = cls(estimator, estimator._init_callback_context(max_subtasks=n_subtasks), **data)
        task._context.call_on_fit_task_begin(estimator=estimator, **data)
        return task

    def begin(self, name: str, n_subtasks: int = 0) -> "Task":
        """Begin a subtask."""
        if self._context is None:
            return self
        context = self._context.subcontext(task_name=name, max_subtasks=n_subtasks)
        context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        return Task(self._estimator, context, **self._data)

    def end(self, state: Callable[[], dict] | None = None) -> bool:
        """End the task; tell whether a callback asks to stop.

        ``state`` returns the fitted attributes that would make the estimator, as it is now, a
        fitted one; it is called only if a callback wants one.
        """
        if self._context is None:
            return False
        return self._context.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes=state, **self._data
        )

    @contextmanager
    def delegate(self, name: str, sub_estimator):
        """Run a subtask that is the fit of ``sub_estimator``, which gets the callbacks."""
        if self._context is None or not hasattr(sub_estimator, "set_callbacks"):
            yield
            return
        context = self._context.subcontext(task_name=name)
        with context.propagate_callback_context(sub_estimator):
            context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
            yield
            context.call_on_fit_task_end(estimator=self._estimator, **self._data)
