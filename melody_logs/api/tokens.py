"""The token endpoint (RFC 6749, section 4.4) and the key set that verifies its tokens.

It is written on joserfc alone. Authlib's server would be a bad guest: it takes its settings from keys of the whole app
(``OAUTH2_*``), refuses plain http behind a proxy unless a variable of the whole process is set, reads grant and scope
from the URL too, and answers an unknown client sooner and in other words than a wrong secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from flask import Response, request
from werkzeug.datastructures import Authorization

from ..clients.registry import ClientRow, authenticate
from ..state import state_of
from ..vocabulary import SCOPES
from .bearer import REALM, refuse_two_authorizations
from .blueprints import ApiBlueprint
from .problems import ProblemError, json_response
from .routes import LAST
from .services import services_of

LONGEST_BODY_BYTES = 16 * 1024
#: Gives way to every rule that the host has for this address.
JWKS_RULE = f'/.well-known/<{LAST}("jwks.json"):name>'
_CHALLENGE = f'Basic realm="{REALM}", charset="UTF-8"'

blueprint = ApiBlueprint("melody_logs_token", __name__, description="Access tokens for the API.")
key_set_blueprint = ApiBlueprint("melody_logs_keys", __name__, description="The keys that verify access tokens.")


@blueprint.route("/token", methods=["POST"])
def issue_token() -> Response:
    """Give a client an access token for the scopes it asks for."""
    form = _read_form()
    client = _authenticate()
    if form.get("client_secret"):
        raise _refuse("invalid_request", 'Send the secret once, by the header "Authorization: Basic".', "client_secret")
    if not form.get("grant_type"):
        raise _refuse("invalid_request", 'The body needs "grant_type=client_credentials".', "grant_type")
    if form["grant_type"] != "client_credentials":
        raise _refuse("unsupported_grant_type", 'The only grant is "client_credentials".', "grant_type")
    scope = _choose_scope(client, form.get("scope", ""))
    token = services_of().authority.issue_token(client.client_id, scope)
    return json_response(
        {
            "access_token": token.access_token,
            "expires_in": token.lifetime_seconds,
            "expires_on": token.expires_at,
            "token_type": "Bearer",
            "scope": token.scope,
        }
    )


@key_set_blueprint.route(JWKS_RULE, methods=["GET"])
def show_keys(name: str) -> Response:
    """Publish the public keys, as a JSON Web Key Set (RFC 7517)."""
    response = json_response(services_of().authority.keys.public_key_set())
    response.headers["Cache-Control"] = "public, max-age=60"
    return response


def _read_form() -> Mapping[str, str]:
    """Read the body, a short form with each parameter once.

    :raise ProblemError: 400, or 411 and 413 for a body of unknown or too great length.
    """
    if request.content_length is None and request.headers.get("Transfer-Encoding"):
        raise ProblemError(HTTPStatus.LENGTH_REQUIRED, 'Send the body with a "Content-Length".')
    if (request.content_length or 0) > LONGEST_BODY_BYTES:
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body may have at most {LONGEST_BODY_BYTES} bytes."
        )
    if request.args:
        # Addresses end up in the logs of servers and proxies: a secret sent there is no longer one.
        raise _refuse("invalid_request", "Send the parameters in the body, not in the address.", *request.args)
    if request.mimetype != "application/x-www-form-urlencoded":
        raise _refuse("invalid_request", 'Send the body as "application/x-www-form-urlencoded".')
    doubled = [name for name, values in request.form.lists() if len(values) > 1]
    if doubled:
        raise _refuse("invalid_request", "Send each parameter once.", *doubled)
    return request.form


def _authenticate() -> ClientRow:
    refuse_two_authorizations(_CHALLENGE)
    given: Authorization | None = request.authorization
    if given is None or given.type != "basic":
        raise _refuse_client('Send client id and secret by "Authorization: Basic".')
    client = authenticate(state_of().database, given.username or "", given.password or "")
    if client is None:
        raise _refuse_client("The client id or the secret is wrong, or the client is disabled.")
    return client


def _choose_scope(client: ClientRow, asked: str) -> str:
    """Check the scopes asked for; ``root`` includes all others, so its clients may ask for less.

    :raise ProblemError: 400 for none, an unknown one or one that the client does not have.
    """
    scopes = tuple(dict.fromkeys(asked.split(" "))) if asked else ()
    accepted = SCOPES if "root" in client.scopes else client.scopes
    if not scopes or not set(scopes).issubset(accepted):
        detail = f'"scope" must be one or more of {", ".join(accepted)}, separated by single spaces.'
        raise _refuse("invalid_scope", detail, "scope")
    return " ".join(scopes)


def _refuse(code: str, detail: str, *parameters: str) -> ProblemError:
    """Make a 400 with the members that OAuth clients read as well (RFC 6749, section 5.2)."""
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        detail,
        errors=[(name, detail) for name in parameters],
        members={"error": code, "error_description": detail},
    )


def _refuse_client(detail: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        detail,
        headers={"WWW-Authenticate": _CHALLENGE},
        members={"error": "invalid_client", "error_description": detail},
    )
