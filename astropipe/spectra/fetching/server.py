"""One spectrum from the LAMOST OpenAPI.

The address is that of the survey's own client, pylamost. The transport is urllib: astropy's download functions show
addresses and keep them in a cache, and the address holds the token of the user.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from astropipe import __version__
from astropipe.config.spectra import FetchConfig
from astropipe.runtime.errors import InputError, UsageError

# The largest files, of targets with many exposures, have a few megabytes.
_LARGEST_BYTES = 100_000_000
_REFUSED = (401, 403, 429, 500, 502, 503, 504)
_BEGINNINGS = (b"SIMPLE  =", b"\x1f\x8b")
_LATER = "run the same command again later"


class UnreachableError(InputError):
    """The server did not answer, or refuses whatever it is asked for: this says nothing about the spectrum."""


@dataclass
class Server:
    """The OpenAPI with one release of the data.

    Attributes
    ----------
    address : str
        Of the spectra, without what is asked.
    token : str
        Of the user, or empty; never part of a message.
    token_variable : str
        The environment variable that it came from.
    timeout_s, interval_s : float
        How long to wait for an answer, and the least time between two requests.
    """

    address: str
    token: str = field(repr=False)
    token_variable: str
    timeout_s: float
    interval_s: float
    _asked_at: float = field(default=-float("inf"), repr=False)

    @classmethod
    def of(cls, config: FetchConfig) -> Server:
        """Return the server of some settings, with the token of the environment.

        Raises
        ------
        UsageError
            If the token would travel unencrypted to another machine.
        """
        token = os.environ.get(config.token_variable, "").strip()
        url = urllib.parse.urlsplit(config.url)
        if token and url.scheme != "https" and not _is_this_machine(url.hostname or ""):
            raise UsageError(
                f"spectra.fetch.url is not encrypted and would give the token of {config.token_variable} away; "
                "use https, or unset the variable"
            )
        address = f"{config.url.rstrip('/')}/{config.release}/{config.version}/mrs/spectrum/fits"
        return cls(address, token, config.token_variable, config.timeout_s, config.interval_s)

    def download(self, obsid: str) -> bytes:
        """Return the bytes of the file of an observation, which begin as those of a FITS file, plain or gzipped.

        Raises
        ------
        InputError
            If the server refuses, breaks off, or sends anything else; the message says what to do.
        UnreachableError
            If there is no answer.
        """
        asked = {"obsid": obsid} | ({"token": self.token} if self.token else {})
        request = urllib.request.Request(
            f"{self.address}?{urllib.parse.urlencode(asked)}", headers={"User-Agent": f"astropipe/{__version__}"}
        )
        self._wait()
        # Errors are raised anew from nothing: those of urllib know the address, which holds the token.
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
                body, size = response.read(_LARGEST_BYTES + 1), response.headers.get("Content-Length")
        except urllib.error.HTTPError as error:
            error.close()
            # Another spectrum would be refused, too.
            kind = UnreachableError if error.code in _REFUSED else InputError
            raise kind(self._hidden(f"HTTP {error.code} {error.reason}; {self._remedy(error.code)}")) from None
        except http.client.IncompleteRead as error:
            raise InputError(f"broken off after {len(error.partial)} bytes; {_LATER}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
            raise UnreachableError(
                self._hidden(f"no answer ({reason}); check the network and spectra.fetch.url, or {_LATER}")
            ) from None
        if len(body) > _LARGEST_BYTES:
            raise InputError(
                f"more than {_LARGEST_BYTES / 1e6:.0f} MB; no spectrum is that large: check spectra.fetch.url"
            )
        if size is not None and size.isdecimal() and len(body) < int(size):
            raise InputError(f"broken off after {len(body)} of {size} bytes; {_LATER}")
        if not body.startswith(_BEGINNINGS):
            raise InputError(self._what_else(body))
        return body

    def _wait(self) -> None:
        time.sleep(max(0.0, self._asked_at + self.interval_s - time.monotonic()))
        self._asked_at = time.monotonic()

    def _remedy(self, code: int) -> str:
        if code in (401, 403):
            return self._about_the_token()
        if code == 404:
            return "this release has no such spectrum: check the obsid, spectra.fetch.release and .version"
        if code == 429:
            return f"the server wants fewer requests: raise spectra.fetch.interval_s, and {_LATER}"
        return _LATER

    def _about_the_token(self) -> str:
        if self.token:
            return f"is the token in {self.token_variable} right, and valid for this release?"
        return f"put the token of your account at lamost.org into the environment variable {self.token_variable}"

    def _what_else(self, body: bytes) -> str:
        if not body:
            return f"the answer is empty; check the obsid, spectra.fetch.release and .version, or {_LATER}"
        if body.lstrip()[:1] == b"<":
            return f"a web page instead of a FITS file, as for login; {self._about_the_token()}"
        beginning = self._hidden(body[:2000].decode("utf-8", "replace"))[:80]
        return f"no FITS file, it begins with {beginning!r}; {self._about_the_token()}"

    def _hidden(self, text: str) -> str:
        """Return a text without the token, which a server may repeat."""
        for secret in {self.token, urllib.parse.quote_plus(self.token), urllib.parse.quote(self.token)} - {""}:
            text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
        return text


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
