"""Keep objects with locks and files whole over ``fork``: as they were in the parent, new in the child."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """What :func:`follow_forks` calls. None of the three may raise or wait for a server."""

    def before_fork(self) -> None:
        """Take the locks and close what a child must not inherit."""

    def after_fork_in_parent(self) -> None:
        """Give the locks back."""

    def after_fork_in_child(self) -> None:
        """Drop what belongs to the parent; make new locks. ``before_fork`` may not have run."""


class _Quiet(threading.local):
    """The members that the fork of this thread has made quiet."""

    def __init__(self) -> None:
        self.members: list[ForkAware] = []


_members: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_quiet = _Quiet()
_pid = os.getpid()
_notice_lock = threading.Lock()


def follow_forks(member: ForkAware) -> None:
    """Call *member* around every later fork, for as long as it lives."""
    _members.add(member)


def notice_fork() -> None:
    """Begin anew in a child that was forked without Python's hooks, as uWSGI does it; call it before anything is used.

    The first requests of such a child may come in several threads at once: one of them does it, the others wait.
    """
    if _pid != os.getpid():
        with _notice_lock:
            if _pid != os.getpid():
                _after_in_child()


def _before() -> None:
    # One order for every thread that forks, or two of them could wait for each other.
    for member in sorted(_members, key=id):
        member.before_fork()
        _quiet.members.append(member)


def _after_in_parent() -> None:
    while _quiet.members:
        _quiet.members.pop().after_fork_in_parent()


def _after_in_child() -> None:
    global _pid
    _quiet.members.clear()
    for member in list(_members):
        member.after_fork_in_child()
    _pid = os.getpid()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
