"""Two writes of one event become one row: a later phase, a fact that came later, one more of a counted attempt."""

from __future__ import annotations

import json
from typing import Any

from ..vocabulary import MOST_SAMPLES, STATUS_RANK, Kind
from .delivery_history import settle_status


def merge_values(kind: Kind, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Join two phases of an event.

    A sign-in's later facts fill only what is missing: what was said explicitly stays. A message follows its status: a
    later phase wins, an earlier one that arrives late only fills what is missing. Counted sign-ins are added up.
    """
    if kind != "sign-in":
        return _merge_messages(old, new)
    if old.get("folded_count") or new.get("folded_count"):
        return _add_counted(old, new)
    merged = _given(new) | _given(old)
    if not old.get("user_id"):
        merged["user_id_is_integer"] = new.get("user_id_is_integer", False)
    if not old.get("ip") and new.get("ip"):
        # Only now is there an address that a location can be found for.
        merged["geo_state"] = new.get("geo_state", "pending")
    return _joined_marks(old, new, merged)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _merge_messages(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    later = STATUS_RANK.get(new.get("status", ""), 0) >= STATUS_RANK.get(old.get("status", ""), 0)
    merged = _given(old) | _given(new) if later else _given(new) | _given(old)
    for name in ("occurred_at", "event_id"):
        merged[name] = old[name]
    if not new.get("user_id"):
        merged["user_id_is_integer"] = old.get("user_id_is_integer", False)
    if not new.get("content") and old.get("content"):
        merged |= {name: old[name] for name in ("content", "content_type", "content_bytes") if name in old}
    # What the provider reported goes before the caller's word, whichever came first.
    merged["status"] = settle_status(merged["status"], merged.get("delivery"))
    return _joined_marks(old, new, merged)


def _joined_marks(old: dict[str, Any], new: dict[str, Any], merged: dict[str, Any]) -> dict[str, Any]:
    words = dict.fromkeys(f"{old.get('marks') or ''} {new.get('marks') or ''}".split())
    merged["marks"] = " ".join(words)[:1024] or None
    return merged


def _add_counted(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Add up what was counted. The facts are those of one attempt, never mixed from several."""
    has_come = new.get("samples") and not old.get("samples")
    merged = old | _given(new) if has_come else dict(old)
    merged["folded_count"] = (old.get("folded_count") or 1) + (new.get("folded_count") or 1)
    merged["occurred_at"] = min(old["occurred_at"], new["occurred_at"])
    merged["last_at"] = max(each.get("last_at") or each["occurred_at"] for each in (old, new))
    if new.get("samples") and not has_come:
        merged["samples"] = _join_samples(old["samples"], new["samples"])
    return _joined_marks(old, new, merged)


def _join_samples(old: str, new: str) -> str:
    """Join two JSON lists of samples: those that differ in more than their time, and no more than are kept."""
    samples: dict[str, Any] = {}
    for sample in [*json.loads(old), *json.loads(new)]:
        facts = json.dumps({name: value for name, value in sample.items() if name != "occurred_at"}, sort_keys=True)
        samples.setdefault(facts, sample)
    return json.dumps(list(samples.values())[:MOST_SAMPLES], ensure_ascii=False, separators=(",", ":"))
