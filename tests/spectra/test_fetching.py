"""Real spectra from an archive, for which a local server stands: what is kept, what is refused, what is never said."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from astropy.table import MaskedColumn, Table
from lamost_files import coadds, write

from astropipe.cli import main
from astropipe.config.spectra import FetchConfig
from astropipe.runtime.errors import InputError, InterruptedRunError, UsageError
from astropipe.spectra.fetching import fetch, folder
from astropipe.spectra.lamost import read_lamost

TOKEN = "s3cret+tok/en"
Answer = Callable[[BaseHTTPRequestHandler], None]


def ok(content: bytes, length: int | None = None) -> Answer:
    """Answer with content, perhaps under a length that it does not have."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content) if length is None else length))
        request.end_headers()
        request.wfile.write(content)

    return answer


def status(code: int, reason: str | None = None) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code, reason)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


class Archive:
    """An archive on this machine: answers by observation number, and the requests that it got."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []
        self.times: list[float] = []
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = parse_qs(parts.query)
                archive.requests.append((parts.path, query, self.headers["User-Agent"]))
                archive.times.append(time.monotonic())
                archive.answers.get(query["obsid"][0], status(404))(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/openapi"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.files: dict[str, bytes] = {}
        for obsid, ending in (("11", "fits.gz"), ("22", "fits"), ("33", "fits.gz")):
            path = write(folder / f"archive-{obsid}.{ending}", *coadds(), OBSID=int(obsid))
            self.files[obsid] = path.read_bytes()
            self.answers[obsid] = ok(self.files[obsid])

    def asked(self) -> list[str]:
        return [query["obsid"][0] for _, query, _ in self.requests]

    def config(self, **changes: Any) -> FetchConfig:
        return FetchConfig(**{"url": self.url, "interval_s": 0.0, "timeout_s": 10.0} | changes)


@pytest.fixture
def archive(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("LAMOST_TOKEN", raising=False)
    made = Archive(tmp_path_factory.mktemp("archive"))
    yield made
    made.server.shutdown()
    made.server.server_close()


def table(tmp_path: Path, name: str = "wanted.csv", **columns: Any) -> Path:
    path = tmp_path / name
    Table(columns or {"obsid": [11, 22]}).write(path, overwrite=True)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_spectra_are_downloaded_and_listed(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMOST_TOKEN", f" {TOKEN}\n")
    out = tmp_path / "new" / "spectra"
    said = fetch(table(tmp_path), out, archive.config(release="dr7", version="v1.2"))
    assert said == "2 spectra, 2 of them downloaded now"
    assert names(out) == ["11.fits.gz", "22.fits", "manifest.ecsv"]
    assert (out / "11.fits.gz").read_bytes() == archive.files["11"]
    (observation,) = read_lamost(out / "22.fits")
    assert observation.meta["obsid"] == 22
    path, query, agent = archive.requests[0]
    assert path == "/openapi/dr7/v1.2/mrs/spectrum/fits"
    assert query == {"obsid": ["11"], "token": [TOKEN]}
    assert agent.startswith("astropipe/")
    listed = Table.read(out / "manifest.ecsv")
    assert [tuple(row) for row in listed] == [
        ("11", "11.fits.gz", sha256(archive.files["11"]), len(archive.files["11"])),
        ("22", "22.fits", sha256(archive.files["22"]), len(archive.files["22"])),
    ]
    assert (listed.meta["release"], listed.meta["version"]) == ("dr7", "v1.2")
    assert TOKEN not in (out / "manifest.ecsv").read_text()


def test_without_a_token_none_is_sent(archive: Archive, tmp_path: Path) -> None:
    fetch(table(tmp_path), tmp_path / "out", archive.config())
    assert all("token" not in query for _, query, _ in archive.requests)


def test_a_second_run_keeps_what_is_there_and_fetches_what_is_missing(archive: Archive, tmp_path: Path) -> None:
    out, config = tmp_path / "out", archive.config()
    fetch(table(tmp_path), out, config)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert fetch(table(tmp_path), out, config) == "2 spectra, 0 of them downloaded now"
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    (out / "22.fits").unlink()
    fetch(table(tmp_path, obsid=[11, 22, 33]), out, config)
    assert archive.asked() == ["11", "22", "22", "33"]
    assert list(Table.read(out / "manifest.ecsv")["obsid"]) == ["11", "22", "33"]


def test_a_file_that_was_changed_is_refused_and_the_others_are_not(archive: Archive, tmp_path: Path) -> None:
    out, config = tmp_path / "out", archive.config()
    fetch(table(tmp_path), out, config)
    (out / "11.fits.gz").write_bytes(archive.files["33"])
    said: list[str] = []
    with pytest.raises(InputError, match=r"1 of 3 spectra failed \(obsid 11\)"):
        fetch(table(tmp_path, obsid=[11, 22, 33]), out, config, complain=said.append)
    (message,) = said
    assert message.startswith("error: obsid 11: ") and "it was changed; delete it to fetch it again" in message
    assert sha256(archive.files["33"]) in message and sha256(archive.files["11"]) in message
    assert (out / "11.fits.gz").read_bytes() == archive.files["33"], "nothing of the user's is overwritten"
    assert (out / "33.fits.gz").exists()
    (out / "11.fits.gz").unlink()
    fetch(table(tmp_path), out, config)


def test_a_file_that_the_archive_has_changed_is_refused(archive: Archive, tmp_path: Path) -> None:
    out, config, said = tmp_path / "out", archive.config(), list[str]()
    fetch(table(tmp_path), out, config)
    (out / "11.fits.gz").unlink()
    archive.answers["11"] = archive.answers["33"]
    with pytest.raises(InputError, match="1 of 2"):
        fetch(table(tmp_path), out, config, complain=said.append)
    assert "the archive has another file now; delete that line to take it" in said[0]
    assert names(out) == ["22.fits", "manifest.ecsv"]


BAD: dict[str, tuple[Answer, str]] = {
    "not allowed": (status(401), r"HTTP 401 .*; put the token .* into the environment variable LAMOST_TOKEN"),
    "forbidden": (status(403), r"HTTP 403 .*LAMOST_TOKEN"),
    "unknown": (status(404), r"HTTP 404 .*; this release has no such spectrum: check the obsid"),
    "too many": (status(429), r"HTTP 429 .*; the server wants fewer requests: raise spectra\.fetch\.interval_s"),
    "server fault": (status(500), r"HTTP 500 .*; run the same command again later"),
    "login page": (ok(b"\n<!DOCTYPE html><title>Login</title>"), r"a web page instead of a FITS file, as for login"),
    "other text": (ok(b'{"error": "no such obsid"}'), r"no FITS file, it begins with .*no such obsid"),
    "nothing": (ok(b""), r"the answer is empty; check the obsid"),
    "broken off": (
        ok(b"SIMPLE  =" + b" " * 91, length=5000),
        r"broken off after 100 of 5000 bytes; run .* again later",
    ),
    "no fits": (ok(gzip.compress(b"hello")), r"not kept: not a FITS file"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_spectrum_is_named_with_its_remedy_and_stops_no_other(
    case: str, archive: Archive, tmp_path: Path
) -> None:
    archive.answers["11"], message = BAD[case]
    said: list[str] = []
    with pytest.raises(InputError, match=r"1 of 2 spectra failed \(obsid 11\).*run the same command again"):
        fetch(table(tmp_path), tmp_path / "out", archive.config(), complain=said.append)
    assert len(said) == 1 and said[0].startswith("error: obsid 11: ")
    assert re.search(message, said[0]), said[0]
    assert names(tmp_path / "out") == ["22.fits", "manifest.ecsv"]


@pytest.mark.parametrize("obsid", ["11", "22"])
def test_a_file_cut_off_in_the_archive_itself_is_not_kept(obsid: str, archive: Archive, tmp_path: Path) -> None:
    whole = archive.files[obsid]
    archive.answers[obsid] = ok(whole[: len(whole) // 2])
    said: list[str] = []
    with pytest.raises(InputError):
        fetch(table(tmp_path), tmp_path / "out", archive.config(), complain=said.append)
    assert f"obsid {obsid}: not kept: " in said[0] and "cut off" in said[0] and "download it again" in said[0]
    assert ".partial" not in said[0]
    assert len(names(tmp_path / "out")) == 2


def test_the_checksum_of_the_table_counts(archive: Archive, tmp_path: Path) -> None:
    sums = [sha256(archive.files["11"]).upper(), sha256(archive.files["11"])]
    wanted, said = table(tmp_path, obsid=[11, 22], sha256=sums), list[str]()
    with pytest.raises(InputError, match=r"1 of 2 spectra failed \(obsid 22\)"):
        fetch(wanted, tmp_path / "out", archive.config(), complain=said.append)
    assert f"not kept: it has SHA-256 {sha256(archive.files['22'])}, and the table says {sums[1]}" in said[0]
    assert names(tmp_path / "out") == ["11.fits.gz", "manifest.ecsv"]


def test_a_manifest_is_a_table_for_others(archive: Archive, tmp_path: Path) -> None:
    names_given = ["med-58025-HIP9645901_sp02-051.fits.gz", "med-2_sp02-052.fits"]
    fetch(table(tmp_path, obsid=[11, 22], file=names_given), tmp_path / "mine", archive.config())
    fetch(tmp_path / "mine" / "manifest.ecsv", tmp_path / "theirs", archive.config())
    assert names(tmp_path / "mine") == names(tmp_path / "theirs") == sorted([*names_given, "manifest.ecsv"])
    for name in names(tmp_path / "mine"):
        assert (tmp_path / "mine" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    archive.answers["22"] = archive.answers["33"]
    with pytest.raises(InputError, match="obsid 22"):
        fetch(tmp_path / "mine" / "manifest.ecsv", tmp_path / "later", archive.config())


def test_files_without_a_manifest_are_checked_and_listed(archive: Archive, tmp_path: Path) -> None:
    out, config, said = tmp_path / "out", archive.config(), list[str]()
    fetch(table(tmp_path), out, config)
    listed = (out / "manifest.ecsv").read_bytes()
    (out / "manifest.ecsv").unlink()
    assert fetch(table(tmp_path), out, config) == "2 spectra, 0 of them downloaded now"
    assert (out / "manifest.ecsv").read_bytes() == listed
    (out / "manifest.ecsv").unlink()
    (out / "22.fits").write_text("mine")
    with pytest.raises(InputError, match="1 of 2"):
        fetch(table(tmp_path), out, config, complain=said.append)
    assert "not a FITS file" in said[0] and "delete this file first" in said[0]
    assert (out / "22.fits").read_text() == "mine"


def test_a_folder_holds_one_release(archive: Archive, tmp_path: Path) -> None:
    fetch(table(tmp_path), tmp_path / "out", archive.config())
    with pytest.raises(UsageError, match=r"holds spectra of dr10 v2\.0, and dr7 v2\.0 is asked for; choose another"):
        fetch(table(tmp_path), tmp_path / "out", archive.config(release="dr7"))


@pytest.mark.parametrize(
    "text", ["not a table", "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: obsid, datatype: string}\n"]
)
def test_a_damaged_manifest_is_named(text: str, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "manifest.ecsv").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.ecsv: not a readable manifest .*; delete it"):
        fetch(table(tmp_path), tmp_path, archive.config())


def test_rows_of_one_observation_are_one_spectrum(archive: Archive, tmp_path: Path) -> None:
    wanted = table(tmp_path, obsid=[11, 11, 22, 11], band=["B", "R", "B", "B"])
    assert fetch(wanted, tmp_path / "out", archive.config()).startswith("2 spectra")
    assert archive.asked() == ["11", "22"]


@pytest.mark.parametrize("name", ["wanted.csv", "wanted.ecsv", "wanted.fits"])
def test_columns_of_any_name_and_table_of_any_kind(name: str, archive: Archive, tmp_path: Path) -> None:
    sums = MaskedColumn([sha256(archive.files["11"]), "", "x" * 64], mask=[False, True, True])
    wanted = table(tmp_path, name, Obs_Number=[11.0, 22.0, 33.0], digest=sums)
    config = archive.config(obsid_column="obs_number", sha256_column="digest")
    assert fetch(wanted, tmp_path / "out", config).startswith("3 spectra")


SUM = "a" * 64


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        ({"id": [1]}, {}, r"no column 'obsid'; columns are id: set spectra\.fetch\.obsid_column"),
        ({"obsid": [1]}, {"sha256_column": "sum"}, r"no column 'sum'; .*set spectra\.fetch\.sha256_column"),
        ({"obsid": [1]}, {"file_column": "name"}, r"no column 'name'; .*set spectra\.fetch\.file_column"),
        ({"obsid": ["1", "two"]}, {}, r"row 1: the column of obsids holds 'two'"),
        ({"obsid": ["1", ""]}, {}, r"row 1: the column of obsids is empty"),
        ({"obsid": [1.5]}, {}, r"row 0: the column of obsids holds '1\.5'"),
        ({"obsid": [1], "sha256": ["abc"]}, {}, r"row 0: 'abc' is no SHA-256"),
        ({"obsid": [1], "file": ["../a.fits"]}, {}, r"row 0: '\.\./a\.fits' is no plain name .*file_column=null"),
        ({"obsid": [1], "file": [".hidden.fits"]}, {}, r"is no plain name"),
        ({"obsid": [1], "file": ["manifest.ecsv"]}, {}, r"is no plain name"),
        ({"obsid": [1, 1], "sha256": [SUM, "b" * 64]}, {}, r"rows 0 and 1: obsid 1 with two values of sha256"),
        ({"obsid": [1, 2], "file": ["a.fits", "a.fits"]}, {}, r"obsids 1 and 2 have the same file a\.fits"),
    ],
)
def test_bad_tables_are_named(
    columns: dict[str, Any], changes: dict[str, str], message: str, archive: Archive, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"wanted\.csv.*{message}"):
        fetch(table(tmp_path, **columns), tmp_path / "out", archive.config(**changes))
    assert archive.requests == []


def test_a_column_of_files_can_be_left_out(archive: Archive, tmp_path: Path) -> None:
    wanted = table(tmp_path, obsid=[11], file=["some/folder"])
    fetch(wanted, tmp_path / "out", archive.config(file_column=None))
    assert names(tmp_path / "out") == ["11.fits.gz", "manifest.ecsv"]


def test_a_file_has_one_owner(archive: Archive, tmp_path: Path) -> None:
    fetch(table(tmp_path, obsid=[11], file=["22.fits"]), tmp_path / "out", archive.config())
    said: list[str] = []
    with pytest.raises(InputError):
        fetch(table(tmp_path, obsid=[22]), tmp_path / "out", archive.config(), complain=said.append)
    assert "22.fits is the file of obsid 11" in said[0]
    with pytest.raises(InputError):
        fetch(table(tmp_path, obsid=[11], file=["b.fits"]), tmp_path / "out", archive.config(), complain=said.append)
    assert "listed as 22.fits" in said[1] and "b.fits is asked for; rename one of the two" in said[1]


def test_requests_keep_their_distance(archive: Archive, tmp_path: Path) -> None:
    fetch(table(tmp_path, obsid=[11, 22, 33]), tmp_path / "out", archive.config(interval_s=0.2))
    assert all(later - earlier > 0.15 for earlier, later in zip(archive.times, archive.times[1:], strict=False))


def test_a_server_that_does_not_answer_is_not_asked_for_ever(archive: Archive, tmp_path: Path) -> None:
    archive.server.shutdown()
    archive.server.server_close()
    said: list[str] = []
    with pytest.raises(
        InputError, match=r"no answer 5 times in a row, so that 15 spectra were not tried; no answer .*refused"
    ):
        fetch(table(tmp_path, obsid=list(range(20))), tmp_path / "out", archive.config(), complain=said.append)
    assert len(said) == 5 and "check the network and spectra.fetch.url" in said[0]


def test_a_server_that_hangs_is_left(archive: Archive, tmp_path: Path) -> None:
    archive.answers["11"] = lambda request: time.sleep(0.5)
    said: list[str] = []
    with pytest.raises(InputError, match="1 of 2"):
        fetch(table(tmp_path), tmp_path / "out", archive.config(timeout_s=0.2), complain=said.append)
    assert "obsid 11: no answer (timed out)" in said[0]


def test_a_stop_keeps_what_is_there(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "stop_requested", lambda: len(archive.requests) == 1)
    with pytest.raises(InterruptedRunError, match="after 1 of 2 spectra, which are kept"):
        fetch(table(tmp_path), tmp_path / "out", archive.config())
    assert list(Table.read(tmp_path / "out" / "manifest.ecsv")["obsid"]) == ["11"]


@pytest.mark.parametrize("host", ["archive.example", "192.0.2.1"])
def test_the_token_is_not_sent_unencrypted_to_others(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    config = FetchConfig(url=f"http://{host}/openapi", token_variable="MY_TOKEN")
    with pytest.raises(UsageError, match="is not encrypted and would give the token of MY_TOKEN away; use https"):
        fetch(table(tmp_path), tmp_path / "out", config)


def cli(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["astropipe", "spectra", "fetch", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main.run()
    return int(end.value.code or 0)


def test_no_message_holds_the_token(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAMOST_TOKEN", TOKEN)

    def redirected(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"file:///etc{request.path}")
        request.end_headers()

    archive.answers |= {
        "1": status(403, f"no {TOKEN}"),
        "2": ok(json.dumps({"error": f"bad token {TOKEN}"}).encode()),
        "3": lambda request: ok(request.path.lower().encode())(request),
        "4": redirected,
        "5": lambda request: request.wfile.write(f"HTTP/{request.path}\r\n\r\n".encode()),
    }
    log = tmp_path / "fetch.log"
    code = cli(
        monkeypatch,
        *(table(tmp_path, obsid=[1, 2, 3, 4, 5, 11]), "--output", tmp_path / "out", "-v", "--log-file", log),
        *("--set", f"spectra.fetch.url={archive.url}", "--set", "spectra.fetch.interval_s=0"),
    )
    assert code == 3
    streams = capsys.readouterr()
    said = streams.out + streams.err + log.read_text() + (tmp_path / "out" / "manifest.ecsv").read_text()
    assert "Traceback" in said and "5 of 6 spectra failed (obsid 1, 2, 3, 4, 5)" in said
    assert "is the token in LAMOST_TOKEN right" in said and "***" in said
    assert re.search(r"obsid 4: HTTP 302 .*file:///etc/.*token=\*\*\*", said), "urllib names the address here"
    for form in (TOKEN, "s3cret", "tok%2Fen"):
        assert form not in said


def test_the_command_ends_with_0_where_all_is_there(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--set", f"spectra.fetch.url={archive.url}", "--set", "spectra.fetch.interval_s=0")
    assert cli(monkeypatch, table(tmp_path), "-o", tmp_path / "out", *options) == 0
    assert capsys.readouterr().err.endswith("out: 2 spectra, 2 of them downloaded now\n")
    (tmp_path / "a").write_text("a file")
    assert cli(monkeypatch, table(tmp_path), "-o", tmp_path / "a", *options) == 3
    assert "cannot make folder" in capsys.readouterr().err


def test_nothing_fetches_by_itself() -> None:
    root = Path(__file__).resolve().parents[2]
    for path in (root / "Snakefile", root / "Makefile", *(root / "workflows").glob("*.smk")):
        assert "spectra fetch" not in path.read_text(encoding="utf-8"), path.name
