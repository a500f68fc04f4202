"""An API and a token endpoint made of libraries that have nothing to do with ferryd: signatures are checked by the
reference library of Standard Webhooks, tokens are given out and checked by Authlib. Prints its port, then a line for
each request. The argument is JSON: webhook_secret, client_id, client_secret, expires_in, method."""

import json
import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "true"  # on the loopback interface only

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Flask, request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from werkzeug.serving import WSGIRequestHandler, make_server

settings = json.loads(sys.argv[1])
app = Flask("interop")
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"client_credentials": settings.get("expires_in", 3600)}
tokens = {}
asked = 0


def say(line):
    # In one piece: several threads say something at once.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Client(ClientMixin):
    def get_client_id(self):
        return settings["client_id"]

    def get_allowed_scope(self, scope):
        return scope if scope in ("", "write") else ""

    def check_client_secret(self, client_secret):
        return client_secret == settings["client_secret"]

    def check_endpoint_auth_method(self, method, endpoint):
        return method == settings["method"]

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Token(TokenMixin):
    def __init__(self, scope):
        self.scope = scope

    def get_scope(self):
        return self.scope

    def is_expired(self):
        return False

    def is_revoked(self):
        return False


class Grant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class Validator(BearerTokenValidator):
    def authenticate_token(self, token_string):
        return tokens.get(token_string)


def query_client(client_id):
    return Client() if client_id == settings["client_id"] else None


def save_token(token, _request):
    tokens[token["access_token"]] = Token(token.get("scope", ""))


server = AuthorizationServer(app, query_client=query_client, save_token=save_token)
server.register_grant(Grant)
guard = ResourceProtector()
guard.register_token_validator(Validator())


@app.post("/token")
def token():
    answer = server.create_token_response()
    say(f"token {answer.status_code}")
    return answer


@app.post("/guarded")
def guarded():
    global asked
    asked += 1
    if asked == settings.get("revoke_at"):
        tokens.clear()
    try:
        with guard.acquire("write"):
            say("guarded 200")
            return "ok"
    except Exception:
        say("guarded 401")
        raise


@app.post("/signed")
def signed():
    try:
        Webhook(settings["webhook_secret"]).verify(request.get_data(), dict(request.headers))
    except WebhookVerificationError as error:
        say(f"signed 400 {error}")
        return "bad signature", 400
    same = request.headers["webhook-id"] == request.headers["idempotency-key"]
    say(f"signed 200 {same}")
    return "ok"


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


if __name__ == "__main__":
    http = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    say(http.server_port)
    http.serve_forever()
