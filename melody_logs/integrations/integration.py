"""What an integration is: how one library that hosts use is found, checked and connected."""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any, ClassVar

from flask import Flask, appcontext_pushed, current_app, has_app_context

from ..errors import ConfigurationError
from ..recording.guard import guarded
from ..state import EXTENSION_KEY, State, state_of

#: The apps of this process that have integrations.
APPS: weakref.WeakSet[Flask] = weakref.WeakSet()


class Integration:
    """Connects one library to the logs, without a change in the host's code.

    A subclass names the library and says how it is found and connected. It imports the library in its methods only.
    """

    #: The integration, as in ``flask melody-logs doctor``: the library's name.
    name: ClassVar[str]
    #: The distribution to install, and the module to import.
    distribution: ClassVar[str]
    #: Further names under which the same library is published.
    other_distributions: ClassVar[tuple[str, ...]] = ()
    module: ClassVar[str]
    #: The extra of melody_logs that brings it; None for the standard library.
    extra: ClassVar[str | None] = None
    least_version: ClassVar[tuple[int, ...]] = (0,)
    #: What it records, for the coverage report, such as "sign-ins, sign-outs".
    records: ClassVar[str]

    def is_used(self, app: Flask) -> bool:
        """Say whether *app* uses the library: asked again whenever an extension or module was added.

        By default, whether somebody has imported the module.
        """
        return self.module in sys.modules

    def check(self, app: Flask) -> None:
        """Refuse a library that is missing or too old, or a set-up that cannot work.

        :raise ConfigurationError: it names what is missing and the remedy.
        """
        if not self.distribution:
            return
        found = self.find_version()
        if found is None:
            raise ConfigurationError(
                f'{type(self).__name__}() needs "{self.distribution}", which is not installed: {self._remedy()}'
            )
        if _version_numbers(found) < self.least_version:
            least = ".".join(map(str, self.least_version))
            raise ConfigurationError(
                f'{type(self).__name__}() needs "{self.distribution}" {least} or newer; {found} is installed: '
                + self._remedy()
            )

    def find_version(self) -> str | None:
        """Give the version of the library that is installed; None if it is not, or belongs to Python."""
        for name in (self.distribution, *self.other_distributions):
            try:
                return metadata.version(name)
            except (metadata.PackageNotFoundError, ValueError):
                continue
        return None

    def connect(self, app: Flask, state: State) -> None:
        """Connect the library of *app*. Called once for each app, after :meth:`check`.

        Receivers of signals are kept in ``state.receivers``, or they are gone at once. What is connected reads its
        options from ``state.integrations[self.name]`` when it is at work: ``logs.use()`` may exchange that object.
        """
        raise NotImplementedError

    def find_gaps(self, app: Flask) -> Iterable[str]:
        """Name the flows of *app* that leave no trace in spite of this integration, each with its remedy."""
        return ()

    def _remedy(self) -> str:
        return f'pip install "melody-logs[{self.extra}]"' if self.extra else f"pip install {self.distribution}"


def state_with(name: str) -> State | None:
    """Give the state of the app for which a library is at work, if the integration *name* is connected on it.

    Wrappers of a library's functions serve every app of the process. Without an app context, in a thread that sends
    mail, the only app that has the integration is meant; None if it is not clear.
    """
    if has_app_context():
        state: State | None = current_app.extensions.get(EXTENSION_KEY)
        return state if state is not None and name in state.integrations else None
    found = [state for app in APPS if name in (state := state_of(app)).integrations]
    return found[0] if len(found) == 1 else None


def when_ready(app: Flask, state: State, is_ready: Callable[[], bool], connect: Callable[[], None]) -> None:
    """Call *connect* once, now or as soon as *is_ready*: an extension may be initialised after ``logs.use()``.

    It is asked whenever the app is entered.
    """
    if is_ready():
        connect()
        return

    @guarded
    def look(sender: object = None, **_: Any) -> None:
        if is_ready():
            appcontext_pushed.disconnect(look, sender=app)
            connect()

    appcontext_pushed.connect(look, sender=app)
    state.receivers.append(look)


def _version_numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else (0,)
