"""Who is shopping. A token is signed and says whom it belongs to, so a restart logs nobody out."""

import base64
import hashlib
import hmac
import os
import secrets
import time

from web import DATA, App, Refused

CUSTOMERS = {"kari@example.no": "brygge", "ola@example.no": "fyrlykt"}
DAY = 24 * 3600

app = App("auth")


def key():
    """The signing key, made once and kept in the data folder."""
    path = DATA / "auth.key"
    if not path.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_bytes(secrets.token_bytes(32))
        unfinished.chmod(0o600)
        unfinished.replace(path)
    return path.read_bytes()


def sign(text):
    return hmac.new(key(), text.encode(), hashlib.sha256).hexdigest()


@app.on("POST", "/auth/login")
def login(request):
    asked = request.json()
    email, password = str(asked.get("email", "")), str(asked.get("password", ""))
    if not hmac.compare_digest(CUSTOMERS.get(email, "").encode(), password.encode()) or not password:
        raise Refused(403, "no such customer, or a wrong password")
    text = f"{email} {int(time.time()) + DAY}"
    return {"email": email, "token": base64.urlsafe_b64encode(f"{text} {sign(text)}".encode()).decode()}


@app.on("GET", "/auth/me")
def me(request):
    try:
        text, _, signature = base64.urlsafe_b64decode(request.token()).decode().rpartition(" ")
        email, expires = text.split(" ")
    except ValueError:
        raise Refused(401, "log in first")
    if not hmac.compare_digest(sign(text), signature) or int(expires) < time.time():
        raise Refused(401, "log in again")
    return {"email": email}


if __name__ == "__main__":
    key()
    app.run()
