"""`verify`: every flipped byte is found, or harmless, and chains are walked to their first input."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from small import Python, Write

from astropipe.artifacts.verification import Finding, damage, verify
from astropipe.runtime import shipped
from astropipe.runtime.errors import ArtifactError

# Every flip is tried in one process of its own, with an alarm: a fault may be a crash or an endless loop inside HDF5.
_FLIPS = """
import json, signal, sys, warnings
from pathlib import Path
import h5py
import numpy as np
from astropipe.artifacts import open_artifact
from astropipe.artifacts.verification import damage
from astropipe.runtime.errors import ArtifactError

warnings.simplefilter("ignore")


def content(path):
    found = {}
    with open_artifact(path) as artifact:
        paths = []
        artifact.file.visititems(lambda name, item: paths.append((name, isinstance(item, h5py.Dataset))))
        found["about"] = [artifact.kind, artifact.title, artifact.content_sha256, repr(artifact.provenance)]
        found["root"] = artifact.attributes("/")
        for path, is_dataset in paths:
            found[path + "@"] = {k: str(v) for k, v in artifact.attributes(path).items() if not k.endswith("_LIST")}
            if path.endswith("catalog"):
                table = artifact.table(path)
                found[path] = [str(table.dtype), [str(one.unit) for one in table.columns.values()], *table.pformat(-1)]
            elif is_dataset:
                array = artifact.array(path)
                values = np.asarray(array).tolist()
                found[path] = [str(array.dtype), array.shape, values, str(getattr(array, "unit", ""))]
    return found


path, spoiled, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
raw, sound = path.read_bytes(), content(path)
rng = np.random.default_rng(20240229)
outcomes = {}
for offset in rng.choice(len(raw), count, replace=False):
    flipped = bytearray(raw)
    flipped[offset] ^= int(rng.integers(1, 256))
    spoiled.write_bytes(flipped)
    print(offset, file=sys.stderr)
    signal.alarm(20)
    try:
        found = damage(spoiled)
        outcome = f"named" if found else "nothing found"
    except ArtifactError:
        found, outcome = [], "refused"
    try:
        same = content(spoiled) == sound
    except ArtifactError:
        same = False
    if outcome == "nothing found":
        outcome = "unaffected" if same else f"other data at byte {offset}, unnoticed"
    outcomes[outcome] = outcomes.get(outcome, 0) + 1
print(json.dumps(outcomes))
"""


@pytest.mark.parametrize(("kind", "flips"), [("triples-catalog", 100), ("posterior", 60)])
def test_a_flipped_byte_anywhere_is_named_or_refused_or_without_effect(
    kind: str, flips: int, folder: Path, minimal: Write, python: Python
) -> None:
    path = minimal(folder / "a.h5", kind, rows=20)
    result = python(_FLIPS, path, folder / "b.h5", flips)
    outcomes = json.loads(result.stdout)
    assert set(outcomes) <= {"named", "refused", "unaffected"}
    assert outcomes["named"] + outcomes["refused"] > 50


def _flip(path: Path, data: bytes) -> None:
    """Change one byte in the middle of the only place where these bytes stand in the file."""
    raw = bytearray(path.read_bytes())
    assert raw.count(data) == 1
    raw[raw.find(data) + len(data) // 2] ^= 0x10
    path.write_bytes(raw)


def test_the_damaged_table_is_named(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "triples-catalog")
    _flip(path, np.array([b"outcome-1"]).tobytes())
    assert damage(path) == ["/catalog was changed"]


def test_the_damaged_head_of_a_table_is_named(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "triples-catalog")
    _flip(path, b"- {name: eccentricity, datatype: float64}")
    assert damage(path) == ["/catalog.__table_column_meta__ was changed"]


def test_the_damaged_array_is_named(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "systems")
    with h5py.File(path) as file:
        chunk = file["velocities"].id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(raw)
    (found,) = damage(path)
    assert found.startswith("/velocities cannot be read")


def test_the_damaged_provenance_is_named(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5")
    _flip(path, '{"test":{"key":1.5,"name":"Ω"}}'.encode())
    assert damage(path) == ["/provenance was changed"]


@pytest.mark.parametrize(
    ("target", "name", "named"),
    [
        ("/", "title", "/ was changed"),
        ("/", "content_sha256", "content_sha256"),
        ("/", "astropipe_version", "astropipe_version"),
        ("/", "provenance_sha256", "/provenance was changed"),
        ("/masses", "units", "/masses was changed"),
        ("/provenance", "command", "/provenance was changed"),
    ],
)
def test_a_changed_attribute_is_named(target: str, name: str, named: str, folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "systems")
    with h5py.File(path, "r+") as file:
        file[target].attrs[name] = "kg"
    (found,) = damage(path)
    assert named in found


def test_added_and_removed_objects_are_named(folder: Path, minimal: Write) -> None:
    path = minimal(folder / "a.h5", "systems")
    with h5py.File(path, "r+") as file:
        file["note"] = 1
        del file["masses"]
    assert damage(path) == ["/note was added after the file was written", "/masses is gone"]


def test_the_hash_does_not_depend_on_how_the_file_is_laid_out(folder: Path, minimal: Write) -> None:
    """A copy by other tools, uncompressed and in another order, is the same artifact."""
    path = minimal(folder / "a.h5", "systems")
    with h5py.File(path) as source, h5py.File(folder / "b.h5", "w") as target:
        target.attrs.update(source.attrs)
        for name in reversed(sorted(source)):
            if isinstance(source[name], h5py.Group):
                source.copy(name, target)
            else:
                target.create_dataset(name, data=source[name][()]).attrs.update(source[name].attrs)
    assert damage(folder / "b.h5") == []


@pytest.fixture
def chain(tmp_path: Path, minimal: Write) -> list[Path]:
    """A raw file and three artifacts, each made from the one before, in folders as the workflow has them."""
    folders = [tmp_path / "results" / name for name in ("raw", "systems", "catalogs", "metrics")]
    for folder in folders:
        folder.mkdir(parents=True)
    paths = [folders[0] / "initial.csv"]
    paths[0].write_text("1,2,3\n")
    for folder, kind in zip(folders[1:], ("systems", "triples-catalog", "metrics"), strict=True):
        paths.append(minimal(folder / "a.h5", kind, inputs=(paths[-1],)))
    return paths


def _states(findings: list[Finding]) -> list[tuple[int, str]]:
    return [(finding.depth, finding.state) for finding in findings]


def test_a_chain_is_walked_to_its_first_input(chain: list[Path]) -> None:
    findings = verify([chain[3]])
    assert _states(findings) == [(0, "ok"), (1, "ok"), (2, "ok"), (3, "ok")]
    assert [Path(finding.path).resolve() for finding in findings] == chain[::-1]


def test_a_shared_input_is_listed_once(chain: list[Path]) -> None:
    assert len(verify([chain[3], chain[2]])) == 4


def test_a_changed_raw_input_is_named(chain: list[Path]) -> None:
    chain[0].write_text("1,2,4\n")
    last = verify([chain[3]])[-1]
    assert (last.depth, last.state) == (3, "missing")
    assert "initial.csv has the name but not the content: a.h5 is out of date" in last.message


def test_a_missing_input_is_named(chain: list[Path]) -> None:
    chain[1].unlink()
    findings = verify([chain[3]])
    assert _states(findings) == [(0, "ok"), (1, "ok"), (2, "missing")]
    assert "--search" in findings[-1].message and str(chain[2]) in findings[-1].message


def test_a_missing_input_of_several_files_is_listed_once(chain: list[Path], minimal: Write) -> None:
    other = minimal(chain[3].parent / "other.h5", "metrics", inputs=(chain[1],))
    chain[1].unlink()
    assert [finding.state for finding in verify([chain[2], other])] == ["ok", "missing", "ok"]


def test_an_artifact_is_known_by_its_content_whatever_its_name(chain: list[Path]) -> None:
    for number, name in ((1, "systems"), (2, "catalog.dat")):
        chain[number] = chain[number].rename(chain[number].with_name(name))
    findings = verify([chain[3]])
    assert [Path(finding.path).name for finding in findings] == ["a.h5", "catalog.dat", "systems", "initial.csv"]
    assert [finding.is_artifact for finding in findings] == [True, True, True, False]


def test_a_damaged_input_is_named_and_ends_the_walk(chain: list[Path]) -> None:
    with h5py.File(chain[2], "r+") as file:
        file.attrs["title"] = "other"
    findings = verify([chain[3]])
    assert _states(findings) == [(0, "ok"), (1, "damaged")]
    assert f"{chain[2]}: / was changed; make it again" in findings[1].message


def test_an_input_elsewhere_is_found_by_search(chain: list[Path], tmp_path: Path) -> None:
    archive = tmp_path / "archive" / "run-1"
    archive.mkdir(parents=True)
    chain[1].rename(archive / "renamed.h5")
    assert _states(verify([chain[3]], search=[archive])) == [(0, "ok"), (1, "ok"), (2, "ok"), (3, "ok")]


def test_a_shipped_measurement_is_found_wherever_the_artifact_lies(folder: Path, minimal: Write) -> None:
    source = next(shipped.data_folder().rglob("*.ecsv"))
    findings = verify([minimal(folder / "a.h5", inputs=(source,))])
    assert _states(findings) == [(0, "ok"), (1, "ok")]


def test_a_file_that_is_no_artifact_is_a_finding_among_others(folder: Path, minimal: Write) -> None:
    (folder / "text.h5").write_text("no artifact")
    findings = verify([folder / "text.h5", minimal(folder / "a.h5")])
    assert _states(findings) == [(0, "damaged"), (0, "ok")]
    with pytest.raises(ArtifactError, match="not an HDF5 file"):
        damage(folder / "text.h5")
