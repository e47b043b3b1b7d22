"""The story of a flow: what belongs to one sign-in, from all logs."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import Schema, fields

from ..state import state_of
from ..storage.stories import read_story
from ..vocabulary import KINDS
from .logs import blueprint
from .parameters import NoQuery
from .problems import json_response, not_found
from .rows import STORY_COLUMNS, story_row_to_json


class StoryEntrySchema(Schema):
    """An entry of a flow: its log, and the fields of its row but for ``content``."""

    kind = fields.String()
    log = fields.Dict()


class StorySchema(Schema):
    """A flow with its first hundred entries, the oldest first; ``isComplete`` says whether these are all."""

    flowId = fields.String()
    isComplete = fields.Boolean()
    entries = fields.List(fields.Nested(StoryEntrySchema))


StoryAnswer = Schema.from_dict({"flow": fields.Nested(StorySchema)}, name="StoryAnswer")


# A host may have made the id of anything, slashes too.
@blueprint.route("/flows/<path:flow_id>", methods=["GET"], endpoint="find_flow")
@blueprint.query(NoQuery)
@blueprint.answers(200, StoryAnswer)
def find_flow(query: dict[str, Any], flow_id: str) -> Response:
    """Read what belongs to one flow: messages, attempts and what came after them."""
    story = read_story(state_of().database, flow_id, {kind: STORY_COLUMNS[kind] for kind in KINDS})
    if not story.entries:
        raise not_found()
    entries = [{"kind": kind, "log": story_row_to_json(kind, row)} for kind, row in story.entries]
    return json_response({"flow": {"flowId": flow_id, "isComplete": story.is_complete, "entries": entries}})
