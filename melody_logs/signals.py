"""The signals of melody_logs: when each is sent, by whom, and what travels with it.

The first three are **sent by the host or an adapter** and recorded by melody_logs; the last two are **emitted by
melody_logs**. The sender of each is the Flask app object. Unknown keyword arguments are ignored.
"""

from blinker import Namespace

_namespace = Namespace()

email_sent = _namespace.signal("melody-logs-email-sent")
"""Send it after an email was handed to the provider. Keywords: those of :meth:`MelodyLogs.record_email`."""

sms_sent = _namespace.signal("melody-logs-sms-sent")
"""Send it after a text message was handed to the provider. Keywords: those of :meth:`MelodyLogs.record_sms`."""

sign_in_attempted = _namespace.signal("melody-logs-sign-in-attempted")
"""Send it when somebody tried to sign in. Keywords: those of :meth:`MelodyLogs.record_sign_in`.

Inside a request, every signal and hook that sees the same attempt adds its facts to one entry.
"""

entry_recorded = _namespace.signal("melody-logs-entry-recorded")
"""Emitted after an entry was appended to the spool. Keywords: ``kind`` (text), ``event_id`` (text), ``folded`` (bool).

``folded`` says that the flood guard counted the attempt: ``event_id`` is then the id of the row that counts many.
"""

logs_degraded = _namespace.signal("melody-logs-degraded")
"""Emitted with the entry at which recording is seen to have become worse.

That is: the spool falls back to memory, this process has not reached the database for a minute, or entries were
rejected and kept aside; and each entry that is lost. A trouble that lasts is told once.

Keywords: ``reason`` (text), ``lost`` (count by kind, of this process).
"""
